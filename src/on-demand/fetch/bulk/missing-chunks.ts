import type { Chunk, ChunkTable } from '../../../blocks/chunk-index.ts';
import { zerosIn } from '../../../blocks/chunk-map.ts';
import type { ChunkSeed } from '../../../chunks/chunk-seed.ts';

/** A longer chunk is left to others: eight connections may each have one in memory. */
const LONGEST = 4 * 1024 * 1024;
/** Of a chunk that the image has more often, the rest is left to others: no index makes a thread write one chunk for ever. */
const PLACES = 64;
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

/** A chunk that is nowhere on this machine, and where else the image has it. */
export interface MissingChunk extends Chunk {
  readonly otherStarts: readonly number[];
}

/** The chunks that are nowhere on this machine, each once. Holes are there. */
export function* missingChunks({ table, seeds, has, arrived }: MissingOptions): Generator<MissingChunk> {
  const isZeros = zerosIn(table);
  for (let number = 0; number < table.count; number++) {
    const chunk = table.chunk(number);
    const { start, length, digest } = chunk;
    if (isZeros(chunk)) arrived(start, length);
    if (length > LONGEST || has(start, length)) continue;
    if (!table.isFirst(number)) continue;
    if (seeds.some((seed) => seed.find(digest, length) !== undefined)) continue;
    yield { ...chunk, otherStarts: table.otherStarts(number, PLACES) };
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
