import { size } from '../console/quantity.ts';

/** So long after the last chunk a machine is told to have them, in ms. */
const QUIET = 1000;

/** Counts the chunks that each machine is sent: an image has thousands, each of which is a request. */
export interface ChunkTally extends Disposable {
  /** @param store the client, and the path of the store */
  sent(store: string, bytes: number): void;
}

/** @param tell takes a line when a machine has asked for no more for a while */
export function createChunkTally(tell: (text: string) => void): ChunkTally {
  const stores = new Map<string, { chunks: number; bytes: number; timer: NodeJS.Timeout }>();

  function end(store: string): void {
    const tally = stores.get(store);
    if (tally === undefined) return;
    clearTimeout(tally.timer);
    stores.delete(store);
    tell(`${store}  ${tally.chunks} ${tally.chunks === 1 ? 'chunk' : 'chunks'}, ${size(tally.bytes)}`);
  }

  return {
    sent(store, bytes) {
      const { chunks = 0, bytes: before = 0, timer } = stores.get(store) ?? {};
      clearTimeout(timer);
      const next = setTimeout(() => end(store), QUIET);
      next.unref();
      stores.set(store, { chunks: chunks + 1, bytes: before + bytes, timer: next });
    },
    [Symbol.dispose]() {
      for (const store of [...stores.keys()]) end(store);
    },
  };
}
