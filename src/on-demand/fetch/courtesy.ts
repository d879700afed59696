/** Who has read will read on: so long the fill waits after the last read that had to wait, in ms. */
const QUIET = 25;
/** Of the time that the whole takes, the part that the fill waits for readers, in all. */
const SHARE = 0.04;

/**
 * Leaves the network to readers alone for as long as they read one thing after the other, as a machine does that boots: each of their
 * reads would wait for a request of the fill otherwise, because what is on its way cannot be held up.
 */
export interface Courtesy {
  /** Somebody begins to wait for a part. */
  enter(): void;
  /** He has it. */
  leave(): void;
  /**
   * Waits until nobody reads; in all not longer than a 25th of `whole`, so that the image is complete in time whatever is read.
   *
   * @param whole how long it takes to fetch all of it, in ms
   * @throws the reason of the signal
   */
  turn(whole: number, signal: AbortSignal): Promise<void>;
}

export function createCourtesy(): Courtesy {
  let readers = 0;
  let last = Number.NEGATIVE_INFINITY;
  let waited = 0;
  return {
    enter() {
      readers++;
    },
    leave() {
      readers--;
      last = performance.now();
    },
    async turn(whole, signal) {
      for (;;) {
        signal.throwIfAborted();
        const begun = performance.now();
        const wanted = readers > 0 ? QUIET : last + QUIET - begun;
        const left = Math.min(wanted, whole * SHARE - waited);
        if (left <= 0) return;
        await Bun.sleep(left);
        waited += performance.now() - begun;
      }
    },
  };
}
