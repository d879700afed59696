/** How often garbage is collected during a transfer, in ms. */
const INTERVAL = 100;

/**
 * Collects the buffers that the socket leaves behind. The engine by itself waits until a heap of its own choosing is
 * full, 60 MiB later; a collection takes 4 ms, so that one every 100 ms bounds both the memory and the cost.
 */
export function createCollector(): { run(): void } {
  let last = performance.now();
  return {
    run() {
      const now = performance.now();
      if (now - last < INTERVAL) return;
      Bun.gc(true);
      last = performance.now();
    },
  };
}
