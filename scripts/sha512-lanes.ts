import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import type { Architecture } from './architecture.ts';

/** The library of our own: not Debian's. */
export const LANES = 'sha512-lanes.so';

const SOURCE = 'src/blocks/sha512-lanes.c';
/** Debian's gcc has this name on an amd64, and gcc-x86-64-linux-gnu elsewhere. */
const COMPILER = 'x86_64-linux-gnu-gcc';
const OPTIONS = [
  '-O3',
  '-Wall',
  '-Wextra',
  '-Wno-psabi',
  '-Werror',
  '-ffreestanding',
  '-fPIC',
  '-shared',
  '-nostdlib',
  '-s',
];

/**
 * Compiles {@link SOURCE} into the libraries of an architecture. For arm64 it is empty: what Bun has uses that processor's own instructions.
 *
 * @throws Error when the compiler is missing or fails
 */
export function makeLanes(architecture: Architecture, libraries: string): void {
  const file = path.join(libraries, LANES);
  const unfinished = `${file}.unfinished`;
  fs.mkdirSync(libraries, { recursive: true });
  if (architecture === 'arm64') fs.writeFileSync(unfinished, '');
  else {
    const { error, status, stderr } = spawnSync(COMPILER, [...OPTIONS, '-o', unfinished, SOURCE], {
      encoding: 'utf8',
    });
    if (error !== undefined || status !== 0)
      throw new Error(`${COMPILER} (Debian: gcc) fails: ${error?.message ?? stderr}`);
  }
  fs.renameSync(unfinished, file);
}
