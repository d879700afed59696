import fs from 'node:fs';
import path from 'node:path';
import { run } from '../fixtures/run.ts';

/** What `casync make` is told. */
export interface ChunkingOptions {
  readonly digest?: 'sha512-256' | 'sha256';
  readonly compression?: 'zstd' | 'xz' | 'gzip';
  /** Bytes of a chunk on average. */
  readonly chunkSize?: number;
  /** Below the directory; without it, the one that is looked for. */
  readonly store?: string;
}

/** Makes the index of an image, and its chunks, by casync, in `directory`. @returns the path of the index */
export function makeChunks(
  directory: string,
  name: string,
  image: string,
  {
    digest = 'sha512-256',
    compression = 'zstd',
    chunkSize = 16384,
    store = 'default.castr',
  }: ChunkingOptions = {},
): string {
  const index = path.join(directory, `${name}.caibx`);
  run([
    ...['casync', 'make', `--store=${path.join(directory, store)}`, `--digest=${digest}`],
    ...[`--compression=${compression}`, `--chunk-size=${chunkSize}`, index, image],
  ]);
  return index;
}

/** The chunks of a store: their paths below it. */
export function chunksOf(store: string): string[] {
  return fs.globSync('????/*', { cwd: store }).sort();
}

/** What `desync make` with a store of `"uncompressed": true` would make of one: the bytes themselves, without a suffix. */
export function unpackStore(store: string): void {
  for (const chunk of chunksOf(store)) {
    const file = path.join(store, chunk);
    fs.writeFileSync(file.replace(/\.cacnk$/, ''), run(['zstd', '-q', '-d', '-c', file]));
    fs.rmSync(file);
  }
}

/** An image with what casync has to deal with: data, a hole that is larger than any chunk, and a part that comes twice. */
export function imageToChunk(noise: Buffer): Buffer {
  return Buffer.concat([noise, Buffer.alloc(600_000), noise.subarray(0, 200_000), Buffer.from('the end')]);
}
