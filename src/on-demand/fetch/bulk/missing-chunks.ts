import type { Chunk, ChunkTable } from '../../../blocks/chunk-index.ts';
import { zerosIn } from '../../../blocks/chunk-map.ts';
import type { ChunkSeed } from '../../../chunks/chunk-seed.ts';

/** A longer chunk is left to others: eight connections may each have one in memory. */
const LONGEST = 4 * 1024 * 1024;
/** Less is not worth a thread, in bytes of the image. */
export const FEW_BYTES = 4 * 1024 * 1024;

export interface MissingOptions {
  readonly table: ChunkTable;
  /** What they have is not missing. */
  readonly seeds: readonly ChunkSeed[];
  /** Whether a part of the image is there. */
  readonly has: (start: number, length: number) => boolean;
  /** A part is in its place. */
  readonly arrived: (start: number, length: number) => void;
}

/** The chunks that are nowhere on this machine; of those that the image has twice, the first. Holes are there. */
export function* missingChunks({ table, seeds, has, arrived }: MissingOptions): Generator<Chunk> {
  const isZeros = zerosIn(table);
  for (const chunk of table.chunks()) {
    const { start, length, digest } = chunk;
    if (isZeros(chunk)) arrived(start, length);
    if (length > LONGEST || has(start, length)) continue;
    if (table.find(digest)?.start !== start) continue;
    if (seeds.some((seed) => seed.find(digest, length) !== undefined)) continue;
    yield chunk;
  }
}

/** Whether so many are missing that it is worth a thread. */
export function isMuchMissing(options: MissingOptions): boolean {
  let bytes = 0;
  for (const { length } of missingChunks(options)) {
    bytes += length;
    if (bytes >= FEW_BYTES) return true;
  }
  return false;
}
