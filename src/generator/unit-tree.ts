import { makeDirectories, makeLink, writeSmallFile } from '../kernel/small-file.ts';

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
 * Writes the entries; what is there already becomes what it should be. systemd empties the directories beforehand: that is rare.
 *
 * @throws SystemCallError
 */
export function writeUnitTree(entries: readonly UnitTreeEntry[], directories: OutputDirectories): void {
  const made = new Set<string>();
  for (const entry of entries) {
    const file = `${directories[entry.precedence]}/${entry.name}`;
    const directory = file.slice(0, file.lastIndexOf('/'));
    if (!made.has(directory)) makeDirectories(directory);
    made.add(directory);
    if ('content' in entry) writeSmallFile(file, entry.content);
    else makeLink(entry.target, file);
  }
}
