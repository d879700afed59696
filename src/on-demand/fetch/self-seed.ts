import type { ChunkTable } from '../../blocks/chunk-index.ts';
import type { ChunkSeed } from '../../chunks/chunk-seed.ts';
import type { CoveredPages } from './covered-pages.ts';

/** What is there already of an image, for chunks that it has more than once. */
export function createSelfSeed(
  table: ChunkTable,
  fd: number,
  path: string,
  covered: CoveredPages,
): ChunkSeed {
  return {
    fd,
    path,
    find(digest, length) {
      const first = table.find(digest);
      if (first?.length !== length || !covered.has(first.start, length)) return undefined;
      return first.start;
    },
  };
}
