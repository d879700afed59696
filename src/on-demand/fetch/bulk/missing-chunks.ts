import type { ChunkTable } from '../../../blocks/chunk-index.ts';
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

/** A chunk that is nowhere on this machine: of that number in the table. */
export interface MissingChunk {
  readonly number: number;
  /** Bytes of the image. */
  readonly start: number;
  readonly length: number;
  /** Where else the image has it. */
  readonly otherStarts: readonly number[];
}

/** The chunks that are nowhere on this machine, each once. Holes are there. */
export function* missingChunks({ table, seeds, has, arrived }: MissingOptions): Generator<MissingChunk> {
  const isZeros = zerosIn(table);
  for (let number = 0; number < table.count; number++) {
    const start = table.start(number);
    const length = table.length(number);
    if (isZeros(number)) arrived(start, length);
    if (length > LONGEST || !table.isFirst(number) || has(start, length)) continue;
    if (seeds.some((seed) => seed.find(table.digest(number), length) !== undefined)) continue;
    yield { number, start, length, otherStarts: table.otherStarts(number, PLACES) };
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
