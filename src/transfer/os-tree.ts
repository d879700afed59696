import fs from 'node:fs';
import path from 'node:path';

/**
 * The root of an unpacked tarball: `directory` itself, or its only child when the tarball wraps a whole OS tree into
 * one directory (as systemd-importd finds it, too).
 */
export function osTreeRoot(directory: string): string {
  if (isOsTree(directory)) return directory;
  const [child, ...others] = fs.readdirSync(directory, { withFileTypes: true });
  if (child === undefined || others.length > 0 || !child.isDirectory()) return directory;
  const inner = path.join(directory, child.name);
  return isOsTree(inner) ? inner : directory;
}

/** os-release(5): one of the two files makes a directory an OS tree. */
function isOsTree(directory: string): boolean {
  return ['etc/os-release', 'usr/lib/os-release'].some(
    (name) => fs.lstatSync(path.join(directory, name), { throwIfNoEntry: false }) !== undefined,
  );
}
