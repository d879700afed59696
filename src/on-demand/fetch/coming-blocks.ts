import type { Block, Content } from '../../blocks/block-map.ts';
import type { CoveredPages } from './covered-pages.ts';
import type { FetchedBlock } from './fetch-run.ts';
import type { Rank } from './precedence.ts';

/** How it is with a block. */
export type BlockState =
  | { readonly kind: 'there' }
  | { readonly kind: 'coming'; readonly block: FetchedBlock }
  | { readonly kind: 'missing'; readonly stored: Extract<Content, { kind: 'stored' }> };

/** The blocks of an image that are on their way: each once, for all who want it. */
export interface ComingBlocks {
  /** Zeros are there as soon as they are looked at. */
  stateOf(block: Block): BlockState;
  /** A missing one is on its way from now on, whether there is a request for it already or not. */
  begin(block: Block, stored: Extract<Content, { kind: 'stored' }>, rank: Rank): FetchedBlock;
  /** It is in the cache: the kernel may see it. */
  arrived(block: FetchedBlock): void;
  /** It will not come: who asks for it again makes another attempt. */
  failed(block: FetchedBlock, reason: unknown): void;
}

export function createComingBlocks(covered: CoveredPages): ComingBlocks {
  /** By where they begin. */
  const coming = new Map<number, FetchedBlock>();

  return {
    stateOf({ start, length, content }) {
      if (content.kind === 'zeros') covered.cover(start, length);
      if (content.kind === 'zeros' || covered.has(start, length)) return { kind: 'there' };
      const block = coming.get(start);
      return block === undefined ? { kind: 'missing', stored: content } : { kind: 'coming', block };
    },
    begin({ start, length }, { offset, length: stored, encoding }, rank) {
      const done = Promise.withResolvers<void>();
      // Whoever waits for it is told.
      done.promise.catch(() => undefined);
      const block = { start, length, offset, stored, encoding, done, rank, run: undefined, failures: [] };
      coming.set(start, block);
      return block;
    },
    arrived(block) {
      coming.delete(block.start);
      covered.cover(block.start, block.length);
      block.done.resolve();
    },
    failed(block, reason) {
      coming.delete(block.start);
      block.done.reject(reason);
    },
  };
}
