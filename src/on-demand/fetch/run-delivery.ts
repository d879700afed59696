import { RdpullError } from '../../console/rdpull-error.ts';
import type { ComingBlocks } from './coming-blocks.ts';
import type { FetchedBlock, FetchRun } from './fetch-run.ts';
import type { PinnedSource } from './pinned-source.ts';
import type { BlockPlacer } from './placing/block-placer.ts';
import { RANK } from './precedence.ts';
import { memoryOf, type RunReader, readRun } from './run-reader.ts';
import type { ServedDigest } from './served-digest.ts';

export interface RunDeliveryOptions
  extends Pick<RunReader, 'source' | 'slots' | 'precedence' | 'pace' | 'signal'> {
  readonly coming: ComingBlocks;
  readonly placer: BlockPlacer;
  readonly digest: ServedDigest | undefined;
  /** A block has come, and did not hold: it is to be fetched once more. */
  readonly again: (block: FetchedBlock) => void;
}

/** Brings the blocks of runs from the network into the cache. */
export interface RunDelivery {
  /** Settles when the network has brought all of a run, or will not. Its blocks tell what becomes of them. */
  deliver(run: FetchRun): Promise<void>;
  /** Blocks that were brought, and those of them that somebody waited for. */
  readonly blocks: number;
  readonly blocksOnDemand: number;
  /** Waits until nothing is under way any more. */
  settled(): Promise<void>;
}

export function createRunDelivery(options: RunDeliveryOptions): RunDelivery {
  const { source, slots, signal, coming, placer, digest } = options;
  const underWay = new Set<Promise<void>>();
  let blocks = 0;
  let blocksOnDemand = 0;

  function deliver(run: FetchRun): Promise<void> {
    const from = source.present;
    const delivered = readRun(run, {
      ...options,
      complete: (block, slot) => void place(block, slot, from),
      between: (offset, bytes) => digest?.add(offset, bytes),
    })
      .catch((error: unknown) => {
        for (const block of run.blocks) if (block.run === run) fail(block, error);
      })
      .finally(() => underWay.delete(delivered));
    underWay.add(delivered);
    return delivered;
  }

  /** All of a block is here: it is decoded into the cache. */
  async function place(block: FetchedBlock, slot: number, from: PinnedSource['present']): Promise<void> {
    const { start, length, offset, stored, encoding } = block;
    block.run = undefined;
    try {
      await placer.place({ slot, stored, encoding, start, length }, block.rank === RANK.demand);
      digest?.add(offset, new Uint8Array(memoryOf(slots, slot), 0, stored));
      blocks++;
      if (block.rank === RANK.demand) blocksOnDemand++;
      coming.arrived(block);
    } catch (error) {
      if (!mayComeAgain(block, error)) {
        fail(block, error);
        return;
      }
      block.failures.push(error);
      source.doubt(error, from);
      options.again(block);
    } finally {
      slots.give(slot);
    }
  }

  /** Once more from each server, and where there is but one, from that: a byte may have been lost on the way. */
  function mayComeAgain({ failures }: FetchedBlock, error: unknown): error is RdpullError {
    return (
      error instanceof RdpullError && error.code === 'stream-corrupt' && failures.length < source.locations
    );
  }

  function fail(block: FetchedBlock, error: unknown): void {
    coming.failed(block, signal.aborted ? signal.reason : error);
  }

  return {
    deliver,
    get blocks() {
      return blocks;
    },
    get blocksOnDemand() {
      return blocksOnDemand;
    },
    async settled() {
      await Promise.allSettled(underWay);
    },
  };
}
