import { BUZHASH_WORDS } from './buzhash-words.ts';

/** Bytes of a chunk, as the header of an index says them. */
export interface CutSizes {
  readonly min: number;
  readonly avg: number;
  readonly max: number;
}

/** Cuts a stream of bytes as casync and desync do: the same bytes become the same chunks, wherever they lie. */
export interface ChunkCutter {
  add(bytes: Uint8Array): void;
  /** There are no more bytes: what is left is the last chunk. */
  end(): void;
}

/** Bytes that the rolling hash is over: casync's `CA_CHUNKER_WINDOW_SIZE`. */
const WINDOW = 48;
/** What is looked at in one go, in bytes: what is behind a cut in it has to be moved. */
const STEP = 64 * 1024;

/** The words of bytes that leave the window, rotated as often as they have been there. */
const LEAVING = BUZHASH_WORDS.map((word) => rotated(word, WINDOW));

/**
 * Memory: the largest chunk.
 *
 * @param take gets each chunk; its bytes are valid until it returns
 */
export function createChunkCutter(sizes: CutSizes, take: (chunk: Uint8Array) => void): ChunkCutter {
  const { min, avg, max } = sizes;
  const isFixed = min === avg && max === avg;
  const divisor = divisorFor(sizes);
  /** Nothing is cut before the window is full. */
  const first = Math.max(min, WINDOW);
  const memory = Buffer.alloc(Math.max(max, WINDOW) + STEP);
  let filled = 0;
  /** How many bytes of the memory were looked at, and the hash of the last of them. */
  let seen = 0;
  let hash = 0;

  function isEnd(): boolean {
    return seen >= max || (hash >>> 0) % divisor === divisor - 1;
  }

  /** @returns how long the chunk is that the memory begins with; undefined as long as nobody knows */
  function cut(): number | undefined {
    if (isFixed) return filled >= avg ? avg : undefined;
    if (seen < first) {
      if (filled < first) return undefined;
      hash = hashOf(memory.subarray(first - WINDOW, first));
      seen = first;
      if (isEnd()) return seen;
    }
    while (seen < filled) {
      hash =
        ((hash << 1) | (hash >>> 31)) ^
        (LEAVING[memory[seen - WINDOW] ?? 0] ?? 0) ^
        (BUZHASH_WORDS[memory[seen] ?? 0] ?? 0);
      seen++;
      if (isEnd()) return seen;
    }
    return undefined;
  }

  function takeCut(): void {
    for (let length = cut(); length !== undefined; length = cut()) {
      take(memory.subarray(0, length));
      memory.copyWithin(0, length, filled);
      filled -= length;
      seen = 0;
    }
  }

  return {
    add(bytes) {
      for (let at = 0; at < bytes.length; at += STEP) {
        const step = bytes.subarray(at, at + STEP);
        memory.set(step, filled);
        filled += step.length;
        takeCut();
      }
    },
    end() {
      if (filled > 0) take(memory.subarray(0, filled));
      filled = 0;
      seen = 0;
    },
  };
}

/** casync's `CA_CHUNKER_DISCRIMINATOR_FROM_AVG`: chunks come out longer than that on average, by a factor that was measured. */
function divisorFor({ min, avg, max }: CutSizes): number {
  const factor = -1.42888852e-7 * avg + 1.33237515;
  return Math.min(max, Math.max(min, factor > 0 ? Math.trunc(avg / factor) : max));
}

function hashOf(window: Uint8Array): number {
  return window.reduce((hash, byte) => rotated(hash, 1) ^ (BUZHASH_WORDS[byte] ?? 0), 0);
}

function rotated(word: number, bits: number): number {
  const by = bits % 32;
  return ((word << by) | (word >>> (32 - by))) >>> 0;
}
