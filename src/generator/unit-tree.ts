import fs from 'node:fs';
import path from 'node:path';

/** The three directories of systemd.generator(7), by their precedence: before /etc, before /usr, behind all. */
export type Precedence = 'early' | 'normal' | 'late';

export type OutputDirectories = Readonly<Record<Precedence, string>>;

/** A file to write, or a symbolic link to make, below one of the directories. */
export type UnitTreeEntry = { readonly precedence: Precedence; readonly name: string } & (
  | { readonly content: string }
  | { readonly target: string }
);

/** The link that makes `unit` a dependency of another unit: `imports.target.wants`, `initrd-root-fs.target.requires`. */
export function dependencyLink(precedence: Precedence, directory: string, unit: string): UnitTreeEntry {
  return { precedence, name: `${directory}/${unit}`, target: `../${unit}` };
}

/**
 * Writes the entries; what is there already becomes what it should be.
 *
 * @throws Error of node:fs
 */
export function writeUnitTree(entries: readonly UnitTreeEntry[], directories: OutputDirectories): void {
  for (const entry of entries) {
    const file = path.join(directories[entry.precedence], entry.name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    if ('content' in entry) {
      fs.writeFileSync(file, entry.content);
    } else {
      fs.rmSync(file, { force: true });
      fs.symlinkSync(entry.target, file);
    }
  }
}
