/** How often garbage is collected during a transfer at most, in ms. */
const INTERVAL = 100;
/** Bytes received for which it is not worth while, for a download. */
const FEW_BYTES = 16 * 1024 * 1024;

/**
 * Collects the buffers that the socket leaves behind. The engine by itself waits until a heap of its own choosing is
 * full, 60 MiB later; a collection takes 4 ms, so that one every 100 ms bounds both the memory and the cost.
 * Not `Bun.gc(true)`, which also throws away what was compiled, and all that the allocator keeps: a fifth of the instructions of a download.
 *
 * @param fewBytes received for which it is not worth while
 * @param interval how often at most, in ms
 */
export function createCollector(
  fewBytes = FEW_BYTES,
  interval = INTERVAL,
): { received(bytes: number): void } {
  let last = performance.now();
  let uncollected = 0;
  return {
    received(bytes) {
      uncollected += bytes;
      if (uncollected < fewBytes || performance.now() - last < interval) return;
      Bun.gc(false);
      last = performance.now();
      uncollected = 0;
    },
  };
}
