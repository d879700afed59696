import fs from 'node:fs';
import path from 'node:path';
import { isSystemError } from '../kernel/system-error.ts';

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
  return ['etc/os-release', 'usr/lib/os-release'].some((name) => isThere(path.join(directory, name)));
}

function isThere(file: string): boolean {
  try {
    fs.lstatSync(file);
    return true;
  } catch (error) {
    // A tarball may have anything in place of the directories on the way.
    if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES')) return false;
    throw error;
  }
}
