import fs from 'node:fs';
import { type ChunkTable, MAX_INDEX_BYTES, parseChunkIndex } from '../blocks/chunk-index.ts';
import { printable } from '../console/printable.ts';
import { reasonOf } from '../console/rdpull-error.ts';

/** An image of this machine, and the index that it was made by, where there is one: their paths. */
export interface SeedFiles {
  /** With an index, the image itself; without, it may be packed. */
  readonly image: string;
  readonly index: string | undefined;
}

/** Where bytes lie on this machine that may be those of a chunk. */
export interface SeededChunk {
  readonly seed: ChunkSeed;
  /** In bytes of the file. */
  readonly offset: number;
}

/**
 * A file of this machine that probably has some of the chunks that are wanted, as an earlier image does. Nothing in it is believed: what is
 * read of it is checked as what comes from a server.
 */
export interface ChunkSeed {
  /** For messages. */
  readonly path: string;
  /** Open for reading as long as the seed is in use. */
  readonly fd: number;
  /** The first byte of a chunk of `length` bytes, by its digest; undefined where it is not here. */
  find(digest: Uint8Array, length: number): number | undefined;
}

/** Seeds that are in use. Disposing of them closes their files. */
export interface OpenSeeds extends Disposable {
  readonly seeds: readonly ChunkSeed[];
  /** The paths of images without an index: to know what is in them, they have to be read. */
  readonly unknown: readonly string[];
}

/**
 * Opens what may be of use. What cannot be read, or is damaged, is left out, and a line says so.
 *
 * @param algorithm what the digests are that will be asked for: an index with others is of no use
 */
export function openSeeds(
  files: readonly SeedFiles[],
  algorithm: ChunkTable['algorithm'],
  notify: (text: string) => void,
): OpenSeeds {
  const seeds: ChunkSeed[] = [];
  const unknown: string[] = [];
  for (const { image, index } of files) {
    if (index === undefined) {
      unknown.push(image);
      continue;
    }
    try {
      const table = readIndex(index);
      if (table.algorithm === algorithm) seeds.push(imageSeed(image, table));
    } catch (error) {
      notify(`${printable(image)} is of no use for this image: ${reasonOf(error)}`);
    }
  }
  return {
    ...{ seeds, unknown },
    [Symbol.dispose]() {
      for (const { fd } of seeds.splice(0)) fs.closeSync(fd);
    },
  };
}

function readIndex(file: string): ChunkTable {
  const { size } = fs.statSync(file);
  if (size > MAX_INDEX_BYTES) throw new Error(`${printable(file)} is too long for an index`);
  return parseChunkIndex(fs.readFileSync(file));
}

function imageSeed(path: string, table: ChunkTable): ChunkSeed {
  return {
    path,
    fd: fs.openSync(path, 'r'),
    find(digest, length) {
      const found = table.find(digest);
      return found?.length === length ? found.start : undefined;
    },
  };
}
