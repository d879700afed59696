/** What the executable begins with: the program, and what it runs in threads of their own. */
export const ENTRY_POINTS: readonly string[] = [
  'src/main.ts',
  'src/transfer/pipeline/worker.ts',
  'src/on-demand/fetch/placing/block-worker.ts',
  'src/on-demand/fetch/bulk/bulk-worker.ts',
  'src/on-demand/fetch/scan/scan-worker.ts',
  'src/on-demand/fuse/fuse-worker.ts',
  'src/on-demand/device/device-worker.ts',
];
