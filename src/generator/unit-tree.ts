import fs from 'node:fs';

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
 * Writes the entries; what is there already becomes what it should be. (At every boot and daemon-reload: node:path
 * would take 5 % of the generator's time, and asking for each directory once is enough.)
 *
 * @throws Error of node:fs
 */
export function writeUnitTree(entries: readonly UnitTreeEntry[], directories: OutputDirectories): void {
  const made = new Set<string>();
  for (const entry of entries) {
    const file = `${directories[entry.precedence]}/${entry.name}`;
    const directory = file.slice(0, file.lastIndexOf('/'));
    if (!made.has(directory)) fs.mkdirSync(directory, { recursive: true });
    made.add(directory);
    if ('content' in entry) fs.writeFileSync(file, entry.content);
    else makeLink(entry.target, file);
  }
}

/** systemd empties the directories beforehand: a link that is there is rare. */
function makeLink(target: string, file: string): void {
  try {
    fs.symlinkSync(target, file);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    fs.rmSync(file);
    fs.symlinkSync(target, file);
  }
}
