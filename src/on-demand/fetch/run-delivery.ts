import type { ChunkSeed, SeededChunk } from '../../chunks/chunk-seed.ts';
import type { ChunkStores } from '../../chunks/chunk-stores.ts';
import { RdpullError } from '../../console/rdpull-error.ts';
import type { Location } from '../../source/source.ts';
import { aboutUrl } from '../../transfer/failed-stream.ts';
import { type ChunkRunReader, readChunks } from './chunk-run-reader.ts';
import type { ComingBlocks } from './coming-blocks.ts';
import type { FetchedBlock, FetchRun } from './fetch-run.ts';
import type { PinnedSource } from './pinned-source.ts';
import type { BlockPlacer } from './placing/block-placer.ts';
import { RANK } from './precedence.ts';
import { memoryOf, type RunReader, readRun } from './run-reader.ts';
import type { ServedDigest } from './served-digest.ts';

/** Where the bytes of blocks come from: a file, of which they are parts, or stores, in which each is a file. */
export type BlockSource = PinnedSource | ChunkStores;

export interface RunDeliveryOptions
  extends Pick<RunReader<BlockSource>, 'source' | 'slots' | 'precedence' | 'pace' | 'signal'> {
  /** Nobody reads the image meanwhile. */
  readonly isAlone: boolean;
  /** Files of this machine that may have chunks. */
  readonly seeds: readonly ChunkSeed[];
  /** Takes a line about a seed, and about a block that did not hold. */
  readonly notify: (text: string) => void;
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
  /** Bytes of the image that were found on this machine, by the path of the file that had them. */
  readonly reused: ReadonlyMap<string, number>;
  /** So many more were found in a file. */
  reuse(path: string, bytes: number): void;
  /** Waits until nothing is under way any more. */
  settled(): Promise<void>;
}

export function createRunDelivery(options: RunDeliveryOptions): RunDelivery {
  const { source, slots, signal, coming, placer, digest, seeds, notify } = options;
  const underWay = new Set<Promise<void>>();
  let blocks = 0;
  let blocksOnDemand = 0;
  const reused = new Map<string, number>();
  const chunks: ChunkRunReader['underWay'] = new Map();

  /** Has the bytes of a run read, from wherever they lie. */
  function read(run: FetchRun): Promise<void> {
    const complete: RunReader['complete'] = (block, slot, stored, from) =>
      void place(block, slot, stored, from);
    if (source.kind === 'file') {
      return readRun(run, {
        ...options,
        source,
        complete,
        between: (offset, bytes) => digest?.add(offset, bytes),
      });
    }
    const reader: ChunkRunReader = {
      ...options,
      source,
      complete,
      copy,
      failed: fail,
      seeds,
      underWay: chunks,
    };
    return readChunks(run, reader);
  }

  function deliver(run: FetchRun): Promise<void> {
    const delivered = read(run)
      .catch((error: unknown) => {
        for (const block of run.blocks) if (block.run === run) fail(block, error);
      })
      .finally(() => underWay.delete(delivered));
    underWay.add(delivered);
    return delivered;
  }

  /** All of a block is here: it is decoded into the cache. */
  async function place(block: FetchedBlock, slot: number, stored: number, from: Location): Promise<void> {
    const { start, length, offset, encoding } = block;
    block.run = undefined;
    try {
      await placer.place({ from: { slot, stored }, encoding, start, length }, block.rank === RANK.demand);
      digest?.add(offset, new Uint8Array(memoryOf(slots, slot), 0, stored));
      arrived(block);
    } catch (error) {
      const failure = source.kind === 'file' ? error : aboutUrl(from.url, error);
      if (!mayComeAgain(block, failure)) {
        fail(block, failure);
        return;
      }
      block.failures.push(failure);
      if (source.kind === 'file') source.doubt(failure, from);
      else notify(`${failure.message}; it is fetched again`);
      options.again(block);
    } finally {
      slots.give(slot);
    }
  }

  /** A block that a seed may have, which is checked as any other is. */
  async function copy(block: FetchedBlock, { seed, offset }: SeededChunk): Promise<boolean> {
    const { start, length, encoding } = block;
    const from = { fd: seed.fd, path: seed.path, offset };
    try {
      await placer.place({ from, encoding, start, length }, block.rank === RANK.demand);
    } catch (error) {
      if (!(error instanceof RdpullError) || !['chunk-damaged', 'file-unreadable'].includes(error.code))
        throw error;
      notify(`${error.message}; it is fetched`);
      return false;
    }
    reuse(seed.path, length);
    arrived(block);
    return true;
  }

  function reuse(path: string, bytes: number): void {
    reused.set(path, (reused.get(path) ?? 0) + bytes);
  }

  function arrived(block: FetchedBlock): void {
    block.run = undefined;
    blocks++;
    if (block.rank === RANK.demand) blocksOnDemand++;
    coming.arrived(block);
  }

  /** Once more from each server, and where there is but one, from that: a byte may have been lost on the way. */
  function mayComeAgain({ failures }: FetchedBlock, error: unknown): error is RdpullError {
    return (
      error instanceof RdpullError &&
      (error.code === 'stream-corrupt' || error.code === 'chunk-damaged') &&
      failures.length < source.locations
    );
  }

  function fail(block: FetchedBlock, error: unknown): void {
    coming.failed(block, signal.aborted ? signal.reason : error);
  }

  return {
    ...{ deliver, reused, reuse },
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
