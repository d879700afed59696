/** Who has read will read on: so long the fill waits after the last read that had to wait, in ms. */
const QUIET = 25;
/** Of the time that it takes, the part that the fill waits for readers, in all: the image is to be complete in time, whatever is read. */
const SHARE = 0.05;
/** At the beginning, in ms. */
const CREDIT = 250;

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
   * Waits until nobody reads; in all not longer than a 20th of the time since the first call.
   *
   * @throws the reason of the signal
   */
  turn(signal: AbortSignal): Promise<void>;
}

export function createCourtesy(): Courtesy {
  let readers = 0;
  let last = Number.NEGATIVE_INFINITY;
  let begun: number | undefined;
  let waited = 0;
  return {
    enter() {
      readers++;
    },
    leave() {
      readers--;
      last = performance.now();
    },
    async turn(signal) {
      for (;;) {
        signal.throwIfAborted();
        const now = performance.now();
        begun ??= now;
        const wanted = readers > 0 ? QUIET : last + QUIET - now;
        const left = Math.min(wanted, CREDIT + (now - begun) * SHARE - waited);
        if (left <= 0) return;
        await Bun.sleep(left);
        waited += performance.now() - now;
      }
    },
  };
}
