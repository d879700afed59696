/** Memory for what is stored of blocks, in bytes, where they are small; two of the largest, where those are not too large. */
const MEMORY = 6 * 1024 * 1024;
const MOST_SLOTS = 24;
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

/** @param largest bytes that the largest block is stored in */
export function createSlots(largest: number): Slots {
  const count = largest > ALONE ? 1 : Math.max(2, Math.min(MOST_SLOTS, Math.floor(MEMORY / largest)));
  const memory = Array.from({ length: count }, () => new SharedArrayBuffer(largest));
  const free = memory.map((_, slot) => slot);
  const waiting: { readonly asker: Asker; readonly resolve: (slot: number) => void }[] = [];

  return {
    memory,
    take(asker) {
      const slot = free.pop();
      if (slot !== undefined) return slot;
      const { promise, resolve } = Promise.withResolvers<number>();
      waiting.push({ asker, resolve });
      return promise;
    },
    give(slot) {
      const [first] = waiting.toSorted((one, other) => one.asker.rank - other.asker.rank);
      if (first === undefined) {
        free.push(slot);
        return;
      }
      waiting.splice(waiting.indexOf(first), 1);
      first.resolve(slot);
    },
  };
}
