import type { BlockMap } from './block-map.ts';

/**
 * What is read at once of a file that has no blocks of its own, in bytes: less costs more requests, and more fetches what
 * nobody reads (an ext4 root booted with 17 % of it fetched by 4 KiB, 24 % by 128 KiB, 45 % by 1 MiB).
 */
export const RAW_BLOCK_BYTES = 128 * 1024;

/** An image that is served as it is. */
export function rawBlocks(size: number): BlockMap {
  const largest = Math.min(size, RAW_BLOCK_BYTES);
  return {
    format: 'raw',
    size,
    largestBlock: largest,
    largestStored: largest,
    async at(offset) {
      if (offset < 0 || offset >= size) throw new RangeError(`no block has byte ${offset}`);
      const start = offset - (offset % RAW_BLOCK_BYTES);
      const length = Math.min(RAW_BLOCK_BYTES, size - start);
      return {
        start,
        length,
        content: { kind: 'stored', offset: start, length, encoding: { kind: 'plain' } },
      };
    },
  };
}
