import type { Block, BlockMap } from '../../blocks/block-map.ts';
import { RdpullError } from '../../console/rdpull-error.ts';
import { createRateMeter } from '../../console/transfer-rate.ts';
import type { ImageCache } from '../cache/image-cache.ts';
import { PAGE_BYTES } from '../cache/present-pages.ts';
import { createCoveredPages } from './covered-pages.ts';
import { type FetchedBlock, type FetchRun, follows, NEEDED_GAP, runOf, takeRun } from './fetch-run.ts';
import { createFillPace } from './fill-pace.ts';
import type { PinnedSource } from './pinned-source.ts';
import { openBlockPlacer } from './placing/block-placer.ts';
import { createPrecedence, RANK, type Rank } from './precedence.ts';
import { createReadahead } from './readahead.ts';
import { memoryOf, readRun } from './run-reader.ts';
import { createServedDigest, type DigestStore } from './served-digest.ts';
import { createSlots } from './slots.ts';

/** Requests for what somebody waits for, at once. */
const DEMAND_AT_ONCE = 4;
/** And for what is probably wanted next. */
const AHEAD_AT_ONCE = 2;
/** Blocks that are wanted together and lie together are one request up to so many bytes. */
const TOGETHER_BYTES = 1024 * 1024;
/** How often the rate is measured, in ms. */
const RATE_INTERVAL = 250;

export interface FetchOptions {
  /** Of the file that `source` has. */
  readonly map: BlockMap;
  /** Disposed of with the fetcher. */
  readonly source: PinnedSource;
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
  /** Ends everything: who waits is told its reason. */
  readonly signal: AbortSignal;
}

/** How far it is. */
export interface FetchFigures {
  /** Bytes of the image, and how many of them are there. */
  readonly size: number;
  readonly present: number;
  /** Blocks that were fetched, and those of them that somebody waited for. */
  readonly blocks: number;
  readonly blocksOnDemand: number;
  /** Bytes of the image that were asked for before they were there. */
  readonly bytesOnDemand: number;
  /** Bytes as served: of the file, and that came, by how many requests. */
  readonly served: number;
  readonly fetched: number;
  readonly requests: number;
  /** Bytes as served that come in a second. */
  readonly rate: number;
  /** How long it takes until all is there, at this rate, in ms: 0 when it is; undefined when nothing comes. */
  readonly left: number | undefined;
  /** The most bytes that have waited for the digest, in its file. */
  readonly waited: number;
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
  const covered = createCoveredPages(cache.present, map.size);
  const slots = createSlots(map.largestStored);
  const placer = openBlockPlacer({ fd: cache.fd, path: options.path, size: cache.size, slots: slots.memory });
  const precedence = createPrecedence();
  const readahead = createReadahead();
  const pace = createFillPace(options.fillRate);
  const digest =
    options.digest === undefined
      ? undefined
      : createServedDigest(source.size, digestStore(options, options.digest));
  /** Blocks that are on their way, by where they begin. */
  const coming = new Map<number, FetchedBlock>();
  const demanded: FetchedBlock[] = [];
  const ahead: FetchedBlock[] = [];
  const runs = new Set<Promise<void>>();
  const underWay = { demand: 0, ahead: 0 };
  let blocks = 0;
  let blocksOnDemand = 0;
  let bytesOnDemand = 0;
  const rateMeter = createRateMeter(performance.now());
  let rate = 0;
  let rated = performance.now();

  function measureRate(): void {
    const now = performance.now();
    if (now - rated < RATE_INTERVAL) return;
    rated = now;
    rate = rateMeter(now, source.fetched);
  }

  /** What is fetched of a block, or is being fetched already; undefined when it is there. */
  function fetchOf({ start, length, content }: Block, rank: Rank): FetchedBlock | undefined {
    if (content.kind === 'zeros') covered.cover(start, length);
    if (content.kind === 'zeros' || covered.has(start, length)) return undefined;
    const known = coming.get(start);
    if (known !== undefined) {
      raise(known, rank);
      return known;
    }
    const { offset, length: stored, encoding } = content;
    const done = Promise.withResolvers<void>();
    // Whoever waits for it is told.
    done.promise.catch(() => undefined);
    const block = { start, length, offset, stored, encoding, done, rank, run: undefined, failures: [] };
    coming.set(start, block);
    return block;
  }

  function raise(block: FetchedBlock, rank: Rank): void {
    if (rank >= block.rank) return;
    block.rank = rank;
    if (block.run !== undefined) {
      if (rank < block.run.rank) precedence.raise(block.run, rank);
      return;
    }
    const index = ahead.indexOf(block);
    if (index < 0 || rank !== RANK.demand) return;
    ahead.splice(index, 1);
    demanded.push(block);
  }

  /** Makes the requests that may be made now. */
  function pump(): void {
    while (underWay.demand < DEMAND_AT_ONCE) {
      if (!begin(takeRun(demanded, TOGETHER_BYTES, digest !== undefined), 'demand')) break;
    }
    while (underWay.ahead < AHEAD_AT_ONCE) {
      if (!begin(takeRun(ahead, pace.requestBytes, digest !== undefined), 'ahead')) break;
    }
  }

  function begin(run: FetchRun | undefined, kind: keyof typeof underWay): boolean {
    if (run === undefined) return false;
    underWay[kind]++;
    void perform(run).finally(() => {
      underWay[kind]--;
      pump();
    });
    return true;
  }

  /** Fetches a run. Its blocks tell what becomes of them. */
  function perform(run: FetchRun): Promise<void> {
    const from = source.present;
    const complete = (block: FetchedBlock, slot: number) => void place(block, slot, from);
    const between = (offset: number, bytes: Uint8Array) => digest?.add(offset, bytes);
    const performed = readRun(run, { source, slots, precedence, pace, signal, complete, between })
      .catch((error: unknown) => {
        for (const block of run.blocks) if (block.run === run) fail(block, error);
      })
      .finally(() => {
        runs.delete(performed);
        measureRate();
      });
    runs.add(performed);
    return performed;
  }

  /** All of a block is here: it is decoded into the cache. */
  async function place(block: FetchedBlock, slot: number, from: PinnedSource['present']): Promise<void> {
    const { start, length, offset, stored, encoding } = block;
    const run = block.run;
    block.run = undefined;
    try {
      await placer.place({ slot, stored, encoding, start, length }, block.rank === RANK.demand);
      digest?.add(offset, new Uint8Array(memoryOf(slots, slot), 0, stored));
      coming.delete(start);
      covered.cover(start, length);
      blocks++;
      if (block.rank === RANK.demand) blocksOnDemand++;
      block.done.resolve();
    } catch (error) {
      if (mayComeAgain(block, error)) again(block, error, from);
      else fail(block, error);
    } finally {
      slots.give(slot);
      if (run !== undefined) measureRate();
    }
  }

  /** Once more from each server, and where there is but one, from that: a byte may have been lost on the way. */
  function mayComeAgain({ failures }: FetchedBlock, error: unknown): error is RdpullError {
    return (
      error instanceof RdpullError && error.code === 'stream-corrupt' && failures.length < source.locations
    );
  }

  function again(block: FetchedBlock, error: RdpullError, from: PinnedSource['present']): void {
    block.failures.push(error);
    source.doubt(error, from);
    (block.rank === RANK.demand ? demanded : ahead).unshift(block);
    pump();
  }

  function fail(block: FetchedBlock, error: unknown): void {
    coming.delete(block.start);
    block.done.reject(signal.aborted ? signal.reason : error);
  }

  async function want(offset: number, length: number): Promise<void> {
    signal.throwIfAborted();
    const from = offset - (offset % PAGE_BYTES);
    const to = Math.min(map.size, Math.ceil((offset + length) / PAGE_BYTES) * PAGE_BYTES);
    if (to <= from || cache.present.has(from, to - from)) return;
    bytesOnDemand += Math.min(map.size, offset + length) - offset;
    const wanted = await fetchAll(from, to, RANK.demand, demanded);
    pump();
    const end = to + readahead.wanted(from, to - from);
    if (end > to) void fetchAll(to, Math.min(end, map.size), RANK.ahead, ahead).then(pump, () => undefined);
    await Promise.all(wanted.map(({ done }) => done.promise));
  }

  /** The blocks of a part of the image that are not there: those that are not on their way are put into `queue`. */
  async function fetchAll(
    from: number,
    to: number,
    rank: Rank,
    queue: FetchedBlock[],
  ): Promise<FetchedBlock[]> {
    const missing: FetchedBlock[] = [];
    for (let at = from; at < to; ) {
      const found = await map.at(at);
      signal.throwIfAborted();
      at = found.start + found.length;
      const before = coming.size;
      const block = fetchOf(found, rank);
      if (block === undefined) continue;
      if (coming.size > before) queue.push(block);
      missing.push(block);
    }
    return missing;
  }

  /** Where the fill is in the image, and in the file. */
  const cursor = { image: 0, file: 0 };
  /** Blocks that the fill has left to whoever wanted them. */
  const leftToOthers: number[] = [];

  /** The next blocks that nobody has asked for, for one request; undefined at the end. */
  async function nextFill(): Promise<FetchRun | undefined> {
    const taken: FetchedBlock[] = [];
    const most = pace.requestBytes;
    let from = cursor.file;
    while (cursor.image < map.size) {
      const found = await map.at(cursor.image);
      const next = found.start + found.length;
      const [first] = taken;
      const last = taken.at(-1);
      if (found.content.kind === 'zeros') {
        fetchOf(found, RANK.fill);
        passed(found, next);
        continue;
      }
      if (covered.has(found.start, found.length) || coming.has(found.start)) {
        // A request ends before what needs none.
        if (first !== undefined) break;
        if (coming.has(found.start)) leftToOthers.push(found.start);
        passed(found, next);
        continue;
      }
      const { offset, length: stored } = found.content;
      if (first !== undefined && offset + stored - first.offset > most) break;
      const block = fetchOf(found, RANK.fill);
      if (block === undefined) continue;
      if (last !== undefined && !follows(last, block, digest !== undefined)) {
        coming.delete(block.start);
        break;
      }
      if (first === undefined) from = leadOf(offset);
      taken.push(block);
      passed(found, next);
    }
    return taken.length === 0 ? undefined : runOf(taken, from);
  }

  function passed({ content }: Block, next: number): void {
    cursor.image = next;
    if (content.kind === 'stored') cursor.file = Math.max(cursor.file, content.offset + content.length);
  }

  /** Where a request begins whose first block is at `offset`: what lies before it is needed for the digest, too. */
  function leadOf(offset: number): number {
    const lead = offset - cursor.file;
    return digest !== undefined && lead > 0 && lead <= NEEDED_GAP ? cursor.file : offset;
  }

  async function fill(): Promise<string | undefined> {
    const requests = new Set<Promise<void>>();
    const placed = new Set<Promise<void>>();
    let failure: { readonly error: unknown } | undefined;
    const watch = ({ done }: FetchedBlock) => {
      const watched = done.promise
        .catch((error: unknown) => {
          failure ??= { error };
        })
        .finally(() => placed.delete(watched));
      placed.add(watched);
    };
    for (;;) {
      while (requests.size >= pace.atOnce) await Promise.race(requests);
      await pauseFor(pace.pause, signal);
      signal.throwIfAborted();
      if (failure !== undefined) break;
      const run = await nextFill();
      if (run === undefined) break;
      pace.spent(run.to - run.from);
      run.blocks.forEach(watch);
      const request = perform(run).finally(() => requests.delete(request));
      requests.add(request);
    }
    await Promise.all([...requests, ...placed]);
    for (const start of leftToOthers) {
      const [block] = await fetchAll(start, start + 1, RANK.ahead, ahead);
      if (block !== undefined) watch(block);
      pump();
    }
    await Promise.all(placed);
    if (failure !== undefined) throw failure.error;
    return digest === undefined ? undefined : await finishDigest();
  }

  /** Fetches what is in no block: headers, indexes, tables. */
  async function finishDigest(): Promise<string | undefined> {
    for (let gap = digest?.missing(); gap !== undefined; gap = digest?.missing()) {
      let at = gap.from;
      for await (const chunk of source.parts(at, Math.min(gap.to - at, TOGETHER_BYTES))) {
        digest?.add(at, chunk);
        at += chunk.length;
      }
    }
    return digest?.result();
  }

  return {
    want,
    fill,
    get figures() {
      measureRate();
      const left = covered.bytes === map.size ? 0 : Math.max(0, source.size - source.fetched);
      return {
        size: map.size,
        present: covered.bytes,
        blocks,
        blocksOnDemand,
        bytesOnDemand,
        served: source.size,
        fetched: source.fetched,
        requests: source.requests,
        rate,
        left: left === 0 ? 0 : rate > 0 ? (left * 1000) / rate : undefined,
        waited: digest?.waited ?? 0,
      };
    },
    async [Symbol.asyncDispose]() {
      const gone = new Error('nobody needs it any more');
      ending.abort(gone);
      source[Symbol.dispose]();
      for (const block of [...demanded.splice(0), ...ahead.splice(0)]) fail(block, gone);
      await placer[Symbol.asyncDispose]();
      await Promise.allSettled(runs);
    },
  };
}

/** Of a raw image, the cache has the bytes as served. */
function digestStore(
  { map, cache, path }: FetchOptions,
  store: { readonly fd: number; readonly path: string },
): DigestStore {
  return map.format === 'raw' ? { fd: cache.fd, path, isCache: true } : { ...store, isCache: false };
}

async function pauseFor(milliseconds: number, signal: AbortSignal): Promise<void> {
  if (milliseconds <= 0) return;
  const { setTimeout } = await import('node:timers/promises');
  await setTimeout(milliseconds, undefined, { signal });
}
