import fs from 'node:fs';
import path from 'node:path';
import { type GeneratorInput, planUnits } from '../../src/generator/unit-plan.ts';
import { type OutputDirectories, writeUnitTree } from '../../src/generator/unit-tree.ts';

/** What systemd calls us as, for units that are compared as text. */
export const EXECUTABLE = '/usr/bin/rdpull';

/** Plans the units of a command line and writes them below `root`; returns the warnings. */
export function generateInto(
  root: string,
  commandLine: string,
  input: Partial<GeneratorInput> = {},
): string[] {
  const warnings: string[] = [];
  const entries = planUnits(
    {
      commandLine,
      credential: undefined,
      inInitrd: true,
      lacksBootUrl: false,
      executable: EXECUTABLE,
      exists: () => false,
      ...input,
    },
    (message) => warnings.push(message),
  );
  writeUnitTree(entries, directoriesIn(root));
  return warnings;
}

export function directoriesIn(root: string): OutputDirectories {
  return {
    normal: path.join(root, 'normal'),
    early: path.join(root, 'early'),
    late: path.join(root, 'late'),
  };
}

/** All files and links below `root` as one text: `==> NAME` and the content, or `==> NAME -> TARGET`. */
export function showTree(root: string): string {
  return treeNames(root)
    .map((name) => {
      const file = path.join(root, name);
      const isLink = fs.lstatSync(file).isSymbolicLink();
      return isLink
        ? `==> ${name} -> ${fs.readlinkSync(file)}\n`
        : `==> ${name}\n${fs.readFileSync(file, 'utf8')}`;
    })
    .join('');
}

/** The names of all files and links below `root`, sorted. */
export function treeNames(root: string): string[] {
  if (!fs.existsSync(root)) return [];
  return fs
    .readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => !fs.lstatSync(path.join(root, name)).isDirectory())
    .sort();
}

/** The values of a setting in a unit's text. */
export function settings(unit: string, name: string): string[] {
  return unit.split('\n').flatMap((line) => (line.startsWith(`${name}=`) ? line.slice(name.length + 1) : []));
}
