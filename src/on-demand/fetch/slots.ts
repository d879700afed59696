import { RANK } from './precedence.ts';

/** Memory for what is stored of blocks, in bytes, where they are small; two of the largest, where those are not too large. */
const MEMORY = 6 * 1024 * 1024;
const MOST_SLOTS = 48;
/** The part of them that is left to readers: what they wait for does not wait for the fill as well, where disk or processor are slow. */
const RESERVED = 1 / 8;
/**
 * Of chunks, which are packed, as a rule, to less than half of what a slot has to hold: what nobody has written to takes no room. Sixteen are
 * on their way, and each thread has as many before it.
 */
const CHUNK_MEMORY = 32 * 1024 * 1024;
const MOST_CHUNKS = 48;
/** Above this, in bytes, there is one. */
const ALONE = 16 * 1024 * 1024;

/** Who waits for memory. */
export interface Asker {
  /** Less is served first. */
  readonly rank: number;
}

/** Where the stored bytes of blocks are put together. That is all the memory that fetching takes, whatever is read. */
export interface Slots {
  readonly memory: readonly SharedArrayBuffer[];
  take(asker: Asker): number | Promise<number>;
  give(slot: number): void;
}

/**
 * @param largest bytes that the largest block is stored in
 * @param kind whether blocks are parts of a file, or chunks
 */
export function createSlots(largest: number, kind: 'file' | 'chunks'): Slots {
  const [room, most] = kind === 'file' ? [MEMORY, MOST_SLOTS] : [CHUNK_MEMORY, MOST_CHUNKS];
  const count = largest > ALONE ? 1 : Math.max(2, Math.min(most, Math.floor(room / largest)));
  const memory = Array.from({ length: count }, () => new SharedArrayBuffer(largest));
  const free = memory.map((_, slot) => slot);
  const reserved = kind === 'file' ? Math.floor(count * RESERVED) : 0;
  const waiting: { readonly asker: Asker; readonly resolve: (slot: number) => void }[] = [];

  return {
    memory,
    take(asker) {
      const isToSpare = asker.rank < RANK.fill || free.length > reserved;
      const slot = isToSpare ? free.pop() : undefined;
      if (slot !== undefined) return slot;
      const { promise, resolve } = Promise.withResolvers<number>();
      waiting.push({ asker, resolve });
      return promise;
    },
    give(slot) {
      const [first] = waiting.toSorted((one, other) => one.asker.rank - other.asker.rank);
      if (first === undefined || (first.asker.rank >= RANK.fill && free.length < reserved)) {
        free.push(slot);
        return;
      }
      waiting.splice(waiting.indexOf(first), 1);
      first.resolve(slot);
    },
  };
}
