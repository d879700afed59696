import type { BlockMap } from '../../blocks/block-map.ts';
import type { ChunkTable } from '../../blocks/chunk-index.ts';
import type { ChunkSeed } from '../../chunks/chunk-seed.ts';
import type { ChunkStores } from '../../chunks/chunk-stores.ts';
import type { ImageCache } from '../cache/image-cache.ts';
import { PAGE_BYTES } from '../cache/present-pages.ts';
import { fetchInBulk } from './bulk/bulk-fetch.ts';
import { FEW_BYTES, isMuchMissing } from './bulk/missing-chunks.ts';
import { createComingBlocks } from './coming-blocks.ts';
import { createCourtesy } from './courtesy.ts';
import { createCoveredPages } from './covered-pages.ts';
import { createFetchFigures, type FetchFigures } from './fetch-figures.ts';
import type { FetchedBlock } from './fetch-run.ts';
import { chunkFillPace, createFillPace } from './fill-pace.ts';
import { fillImage } from './image-fill.ts';
import type { PinnedSource } from './pinned-source.ts';
import { openBlockPlacer } from './placing/block-placer.ts';
import { createPrecedence, RANK, type Rank } from './precedence.ts';
import { createReadahead } from './readahead.ts';
import { createRequestQueue, TOGETHER_BYTES } from './request-queue.ts';
import { type BlockSource, createRunDelivery } from './run-delivery.ts';
import { scanSeed } from './scan/scan-seed.ts';
import { createSelfSeed } from './self-seed.ts';
import { createServedDigest, type ServedDigest } from './served-digest.ts';
import { createSlots } from './slots.ts';

/** What belongs to an image in chunks. */
export interface ChunkFetchOptions {
  readonly table: ChunkTable;
  /** Nobody reads the image meanwhile: the network is kept busy, and left to no one. */
  readonly isAlone: boolean;
  /** Files of this machine that may have some of them, best first. */
  readonly seeds: readonly ChunkSeed[];
  /** The paths of images of this machine that may have some of them, too, where it is worth reading all of them to find out; likeliest first. */
  readonly unknown: readonly string[];
  /** Takes a line about a chunk that did not hold, and what is done about it. */
  readonly notify: (text: string) => void;
}

/** Takes the parts of a file as they come, in any order, each once. */
export interface PartsTaker {
  /** Its bytes are valid until this returns. */
  add(offset: number, bytes: Uint8Array): void;
  /** Settles when more can be taken: nobody who reads waits for it. */
  ready(): Promise<void>;
}

export interface FetchOptions {
  /** Of what `source` has. */
  readonly map: BlockMap;
  /** Disposed of with the fetcher. */
  readonly source: BlockSource;
  /** Of an image in chunks: its index, and files of this machine that may have some of them. */
  readonly chunks?: ChunkFetchOptions | undefined;
  /** Empty, and of the map's size. It has to stay until the fetcher is disposed of. */
  readonly cache: ImageCache;
  /** The path of the cache's file, for messages. */
  readonly path: string;
  /** Bytes a second of the file that the fill takes at most; undefined: as many as come. */
  readonly fillRate: number | undefined;
  /**
   * Where what is fetched ahead of its turn waits for the digest: an empty file, for reading and writing, which nobody needs afterwards.
   * undefined: no digest is wanted.
   */
  readonly digest: { readonly fd: number; readonly path: string } | undefined;
  /** Takes the file as served, of which a digest is wanted. */
  readonly parts?: PartsTaker | undefined;
  /** Ends everything: who waits is told its reason. */
  readonly signal: AbortSignal;
}

/** Brings the blocks of an image into its cache. */
export interface BlockFetcher extends AsyncDisposable {
  /**
   * Brings a part of the image before everything else.
   *
   * @throws RdpullError when it cannot be had now: who asks again makes another attempt; the reason of the signal
   */
  want(offset: number, length: number): Promise<void>;
  /**
   * Brings all of the image that is not wanted, in the order of the file. Once.
   *
   * @returns SHA-256 of the file as served, lower-case hexadecimal, where a digest is wanted
   * @throws RdpullError as {@link want}: of the first block that cannot be had
   */
  fill(): Promise<string | undefined>;
  readonly figures: FetchFigures;
}

export function openBlockFetcher(options: FetchOptions): BlockFetcher {
  const { map, source, cache } = options;
  const ending = new AbortController();
  const signal = AbortSignal.any([options.signal, ending.signal]);
  const digest = openDigest(options);
  const needsAll = digest !== undefined;
  const pace = createFillPace(options.fillRate);
  const fillPace = source.kind === 'file' ? pace : chunkFillPace(pace);
  const courtesy = createCourtesy();
  const precedence = createPrecedence();
  const readahead = createReadahead();
  const slots = createSlots(map.largestStored, source.kind);
  const covered = createCoveredPages(cache.present, map.size);
  const coming = createComingBlocks(covered);
  const { table, seeds: others = [], unknown = [], isAlone = false } = options.chunks ?? {};
  const { notify = () => undefined } = options.chunks ?? {};
  const placer = openBlockPlacer(
    { fd: cache.fd, path: options.path, size: cache.size, slots: slots.memory },
    source.kind,
    !isAlone,
  );
  const seeds =
    table === undefined ? [] : [createSelfSeed(table, cache.fd, options.path, covered), ...others];
  const delivery = createRunDelivery({
    ...{ source, slots, precedence, pace, signal, coming, placer, digest, seeds, isAlone, notify },
    again: (block) => queue.again(block),
  });
  const queue = createRequestQueue({ pace, precedence, needsAll, request: delivery.deliver });
  const served = servedBytes(source, map);
  const figuresWith = createFetchFigures({ size: map.size, served, source, covered, delivery, digest });
  let bytesOnDemand = 0;

  /** Has a part of the image come, as urgently as `rank` says. @returns the blocks of it that are not there */
  async function request(from: number, to: number, rank: Rank): Promise<FetchedBlock[]> {
    const missing: FetchedBlock[] = [];
    for (let at = from; at < to; ) {
      const found = await map.at(at);
      signal.throwIfAborted();
      at = found.start + found.length;
      const state = coming.stateOf(found);
      if (state.kind === 'there') continue;
      const block = state.kind === 'coming' ? state.block : coming.begin(found, state.stored, rank);
      if (state.kind === 'coming') queue.raise(block, rank);
      else queue.add(block);
      missing.push(block);
    }
    queue.pump();
    return missing;
  }

  async function want(offset: number, length: number): Promise<void> {
    signal.throwIfAborted();
    const from = offset - (offset % PAGE_BYTES);
    const to = Math.min(map.size, Math.ceil((offset + length) / PAGE_BYTES) * PAGE_BYTES);
    if (to <= from || cache.present.has(from, to - from)) return;
    bytesOnDemand += Math.min(map.size, offset + length) - offset;
    const wanted = await request(from, to, RANK.demand);
    const end = Math.min(map.size, to + readahead.wanted(from, to - from));
    if (end > to) void request(to, end, RANK.ahead).catch(() => undefined);
    courtesy.enter();
    try {
      await Promise.all(wanted.map(({ done }) => done.promise));
    } finally {
      courtesy.leave();
    }
  }

  /** What is left after this is unusual, or where it is known to be on this machine: it comes as it does for readers. */
  async function fillAlone(chunks: ChunkTable, stores: ChunkStores): Promise<void> {
    const { fd } = cache;
    const missing = { table: chunks, seeds: others, has: covered.has, arrived: covered.cover };
    for (const path of unknown) {
      if (!isMuchMissing(missing)) break;
      let brought = 0;
      const found = (start: number, length: number) => {
        if (covered.has(start, length)) return;
        covered.cover(start, length);
        delivery.reuse(path, length);
        brought += length;
      };
      await scanSeed({ table: chunks, path, fd, found, notify, signal });
      // The next one is older, and would bring less.
      if (brought < FEW_BYTES) break;
    }
    await fetchInBulk({ ...missing, stores, fd, path: options.path, signal });
  }

  async function fill(): Promise<string | undefined> {
    if (isAlone && table !== undefined && source.kind === 'chunks') await fillAlone(table, source);
    if (covered.bytes === map.size && !needsAll) return undefined;
    const ahead = async (start: number) => (await request(start, start + 1, RANK.ahead))[0];
    const turn = async () => {
      await options.parts?.ready();
      await courtesy.turn(signal);
    };
    await fillImage({
      map,
      coming,
      pace: fillPace,
      turn,
      needsAll,
      request: delivery.deliver,
      ahead,
      signal,
    });
    return digest === undefined || source.kind !== 'file' ? undefined : await completeDigest(digest, source);
  }

  return {
    want,
    fill,
    get figures() {
      return figuresWith(bytesOnDemand);
    },
    async [Symbol.asyncDispose]() {
      const gone = new Error('nobody needs it any more');
      ending.abort(gone);
      source[Symbol.dispose]();
      for (const block of queue.takeAll()) coming.failed(block, signal.reason);
      await placer[Symbol.asyncDispose]();
      await delivery.settled();
    },
  };
}

/** How much there is to be fetched, in bytes: of chunks nobody knows how they are packed. */
function servedBytes(source: BlockSource, map: BlockMap): number {
  return source.kind === 'file' ? source.size : map.size;
}

/** Of a raw image, the cache has the bytes as served. */
function openDigest({ map, source, cache, path, digest, parts }: FetchOptions): ServedDigest | undefined {
  if (digest === undefined || source.kind !== 'file') return undefined;
  const store = map.format === 'raw' ? { fd: cache.fd, path, isCache: true } : { ...digest, isCache: false };
  return createServedDigest(source.size, store, parts?.add);
}

/** Fetches what is in no block: headers, indexes, tables. */
async function completeDigest(digest: ServedDigest, source: PinnedSource): Promise<string> {
  for (let gap = digest.missing(); gap !== undefined; gap = digest.missing()) {
    let at = gap.from;
    for await (const chunk of source.parts(at, Math.min(gap.to - at, TOGETHER_BYTES))) {
      digest.add(at, chunk);
      at += chunk.length;
    }
  }
  return await digest.result();
}
