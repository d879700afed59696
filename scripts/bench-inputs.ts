import fs from 'node:fs';
import path from 'node:path';
import { shell } from './bench-shell.ts';

const MIB = 1024 * 1024;
/** No file takes more than this part of the image: it would make the sample one-sided. */
const LARGEST_PART = 1 / 16;

/** One way to pack an image. */
export interface Packing {
  readonly format: string;
  readonly fileName: `image.${string}`;
  /** Reads $1, writes $2. */
  readonly script: string;
}

/**
 * Level 3 and 12 MiB blocks (three times the dictionary) are what mkosi makes of a disk image, level 6 and 24 MiB what
 * `xz -T0` does.
 */
export const PACKINGS = [
  { format: 'xz-single', fileName: 'image.single.raw.xz', script: 'xz -T1 -3 <"$1" >"$2"' },
  { format: 'xz-multi', fileName: 'image.multi.raw.xz', script: 'xz -T0 -3 <"$1" >"$2"' },
  { format: 'xz-multi-6', fileName: 'image.multi6.raw.xz', script: 'xz -T0 -6 <"$1" >"$2"' },
  { format: 'zstd', fileName: 'image.raw.zst', script: 'zstd -q -T0 <"$1" >"$2"' },
  { format: 'gzip', fileName: 'image.raw.gz', script: 'gzip <"$1" >"$2"' },
  { format: 'raw', fileName: 'image.raw', script: 'ln "$1" "$2"' },
] as const satisfies readonly Packing[];

export type Format = (typeof PACKINGS)[number]['format'];

/** What a part of the benchmark works on. */
export interface ImageBenchmark {
  /** The directory in which inputs are kept. */
  readonly cache: string;
  /** Size of the files in the image. */
  readonly mebibytes: number;
  /** Runs of each. */
  readonly rounds: number;
  readonly note: (text: string) => void;
}

/** A directory to serve: one image in some packings, and SHA256SUMS. */
export interface Inputs {
  readonly directory: string;
  /** The unpacked image. */
  readonly image: string;
  /** Its length. */
  readonly bytes: number;
}

/**
 * An ext4 image with some `mebibytes` MiB of the files below /usr, and its packings.
 *
 * The files are picked by a hash of their names: the same ones on the same machine, and a fair sample of them.
 */
export function makeImageInputs(
  cache: string,
  mebibytes: number,
  packings: readonly Packing[],
  note: (text: string) => void,
): Inputs {
  return makeInputs(path.join(cache, `usr-${mebibytes}-mib`), packings, note, (image) => {
    const tree = `${image}.tree`;
    const names = `${image}.names`;
    const { files, bytes } = pickFiles(mebibytes * MIB);
    if (bytes < 0.9 * mebibytes * MIB) note(`/usr has ${Math.round(bytes / MIB)} MiB only`);
    fs.writeFileSync(names, files.map((file) => `${file}\0`).join(''));
    fs.mkdirSync(tree);
    shell('tar -C / --null --no-recursion -T "$1" -c | tar -C "$2" -x', names, tree);
    // As free as a root file system usually is: what is free becomes holes.
    const length = Math.ceil((bytes * 1.2) / MIB) + 32;
    shell('truncate -s "$1M" "$2" && mkfs.ext4 -q -i 8192 -d "$3" "$2"', String(length), image, tree);
    fs.rmSync(tree, { recursive: true });
    fs.rmSync(names);
  });
}

/** 1 KiB of noise and its packings: what is left of a pull when there is nothing to pull. */
export function makeTinyInputs(cache: string, note: (text: string) => void): Inputs {
  return makeInputs(path.join(cache, 'tiny'), PACKINGS, note, (image) => {
    fs.writeFileSync(image, crypto.getRandomValues(new Uint8Array(1024)));
  });
}

/** What is there already is taken as it is. Each file is made under another name, so that no half of it stays. */
function makeInputs(
  directory: string,
  packings: readonly Packing[],
  note: (text: string) => void,
  makeImage: (image: string) => void,
): Inputs {
  const image = path.join(directory, 'source');
  fs.mkdirSync(directory, { recursive: true });
  once(image, (unfinished) => {
    note(`making ${image}`);
    makeImage(unfinished);
  });
  for (const { format, fileName, script } of packings) {
    once(path.join(directory, fileName), (unfinished) => {
      note(`packing it: ${format}`);
      shell(script, image, unfinished);
    });
  }
  shell('cd "$1" && sha256sum image.* >SHA256SUMS', directory);
  return { directory, image, bytes: fs.statSync(image).size };
}

export function once(file: string, make: (unfinished: string) => void): void {
  if (fs.existsSync(file)) return;
  const unfinished = path.join(path.dirname(file), `unfinished-${path.basename(file)}`);
  fs.rmSync(unfinished, { recursive: true, force: true });
  make(unfinished);
  fs.renameSync(unfinished, file);
}

/** Some `wanted` bytes of files of `least` bytes or more below /usr, the same ones each time, named from the root. */
export function pickFiles(wanted: number, least = 0): { files: string[]; bytes: number } {
  const found = shell(`find /usr -xdev -type f -printf '%s %P\\n' 2>/dev/null || true`);
  const candidates = found
    .split('\n')
    .map((line) => {
      const space = line.indexOf(' ');
      const file = `usr/${line.slice(space + 1)}`;
      return { file, bytes: Number(line.slice(0, space)), order: Bun.hash.wyhash(file) };
    })
    .filter((candidate) => candidate.bytes >= least && candidate.bytes <= wanted * LARGEST_PART)
    .sort((a, b) => (a.order < b.order ? -1 : 1));
  const files: string[] = [];
  let bytes = 0;
  for (const candidate of candidates) {
    if (bytes >= wanted) break;
    files.push(candidate.file);
    bytes += candidate.bytes;
  }
  return { files, bytes };
}
