import { mostStored } from '../blocks/chunk-map.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { shownUrl } from '../console/shown-url.ts';
import { createAttempts } from '../source/attempts.ts';
import { createCollector } from '../source/collector.ts';
import { openSourceOnce } from '../source/open-source.ts';
import { Pools } from '../source/pools.ts';
import type { Location, Patience, SourceOptions } from '../source/source.ts';

/** casync's name of the store that lies beside an index. */
export const DEFAULT_STORE = 'default.castr';
/** casync's caformat-util.h, and desync's `CompressedChunkExt`. Its stores of chunks that are not packed add nothing to the digest. */
export const PACKED = '.cacnk';
export const PLAIN = '';

/** Why a chunk is not at a store, whatever the server says of the next one. 403 is what object stores answer for a missing object. */
const ABSENT: ReadonlySet<string> = new Set(['http-not-found', 'http-forbidden', 'file-not-found']);

export interface WantedChunk {
  /** Lower-case hexadecimal. */
  readonly digest: string;
  /** Bytes of the image. */
  readonly length: number;
}

/** What a store has of a chunk, in the memory that was given for it. */
export interface StoredChunk {
  readonly bytes: number;
  /** Where from, as it was asked for. */
  readonly from: Location;
}

/** A store, and how its server is reached: what another thread may be told. */
export interface StorePlace extends Location, Pick<SourceOptions, 'ca' | 'proxy'> {}

/** Directories of chunks on servers, each file called by its digest: mirrors of one another, as far as each has a chunk. */
export interface ChunkStores extends Disposable {
  readonly kind: 'chunks';
  /** How many there are. */
  readonly locations: number;
  /** Each of them, for who fetches many chunks himself; in the order in which they are asked. */
  readonly places: readonly StorePlace[];
  /**
   * Counts what he has fetched.
   *
   * @throws RdpullError limit-exceeded
   */
  count(requests: number, bytes: number): void;
  /**
   * Brings a chunk as it is stored: nothing is checked of it but that it is not too long. One that a store does not have is asked of the next
   * one. Where none can be reached, it waits for as long as the patience lasts.
   *
   * @param failures how often it has come, and did not hold: another store is asked first each time
   * @param memory takes it: `mostStored` of its length, or more
   * @param held waits while nothing should be read; called between the pieces that come
   * @throws RdpullError chunk-missing; of the network or http family; the reason of the signal
   */
  read(
    chunk: WantedChunk,
    failures: number,
    memory: Uint8Array,
    held: () => Promise<void> | undefined,
  ): Promise<StoredChunk>;
  readonly requests: number;
  /** Bytes that came. */
  readonly fetched: number;
}

interface Store {
  readonly url: string;
  readonly location: Location;
  readonly urlOf: ReturnType<typeof chunkUrls>;
  /** How its files end, as soon as one was there. */
  suffix: typeof PACKED | typeof PLAIN | undefined;
}

/**
 * @param locations where the stores lie: at least one; in the order in which they are asked
 * @param limit bytes of all chunks at most: called with what has come
 */
export function openChunkStores(
  locations: readonly Location[],
  options: SourceOptions,
  requireWithin: (bytes: number) => void,
): ChunkStores {
  const ending = new AbortController();
  const signal = AbortSignal.any([options.signal, ending.signal]);
  const ownPools = options.pools === undefined ? new Pools() : undefined;
  const pools = options.pools ?? ownPools;
  const { patience, ...usual } = options;
  const access = { ...usual, signal, isPromised: true, ...(pools !== undefined && { pools }) };
  const stores = locations.map(
    (location): Store => ({
      url: location.url,
      location,
      urlOf: chunkUrls(location.url),
      suffix: undefined,
    }),
  );
  const told = patience === undefined ? undefined : toldOnce(patience);
  const collector = createCollector({ givesBack: true });
  /** The store that is asked first. */
  let first = 0;
  let requests = 0;
  let fetched = 0;

  /** All stores, as they are asked for a chunk that has failed so often. */
  function inTurn(failures: number): readonly Store[] {
    const from = (first + failures) % stores.length;
    return [...stores.slice(from), ...stores.slice(0, from)];
  }

  async function readAt(
    store: Store,
    suffix: string,
    { digest, length }: WantedChunk,
    memory: Uint8Array,
    held: () => Promise<void> | undefined,
  ): Promise<StoredChunk> {
    const url = store.urlOf(digest, suffix);
    const most = Math.min(memory.length, mostStored(length));
    requests++;
    const source = await openSourceOnce(url, { ...access, ...store.location });
    try {
      let bytes = 0;
      if ((source.size ?? 0) > most) throw tooLong(url, digest, most);
      for await (const piece of source.body) {
        if (bytes + piece.length > most) throw tooLong(url, digest, most);
        memory.set(piece, bytes);
        bytes += piece.length;
        fetched += piece.length;
        collector.received(piece.length);
        const wait = held();
        if (wait !== undefined) await wait;
      }
      requireWithin(fetched);
      return { bytes, from: { ...store.location, url } };
    } finally {
      source.close();
    }
  }

  /** From a store whose files end in whatever way they do. */
  async function readFrom(
    store: Store,
    chunk: WantedChunk,
    memory: Uint8Array,
    held: () => Promise<void> | undefined,
  ): Promise<StoredChunk> {
    if (store.suffix !== undefined) return await readAt(store, store.suffix, chunk, memory, held);
    try {
      const stored = await readAt(store, PACKED, chunk, memory, held);
      store.suffix = PACKED;
      return stored;
    } catch (error) {
      if (!isAbsent(error)) throw error;
      try {
        const stored = await readAt(store, PLAIN, chunk, memory, held);
        store.suffix = PLAIN;
        return stored;
      } catch (other) {
        throw isAbsent(other) ? error : other;
      }
    }
  }

  return {
    kind: 'chunks',
    locations: stores.length,
    places: locations.map((location) => placeOf(location, options)),
    count(more, bytes) {
      requests += more;
      fetched += bytes;
      requireWithin(fetched);
    },
    async read(chunk, failures, memory, held) {
      const places = inTurn(failures);
      let absences = 0;
      const attempts = createAttempts(places, { signal, ...(told !== undefined && { patience: told }) });
      try {
        return await attempts.make(async (store) => {
          try {
            const stored = await readFrom(store, chunk, memory, held);
            // Who has failed, and not only lacked a chunk, is asked after this one from now on.
            if (failures === 0 && absences === 0) first = stores.indexOf(store);
            return stored;
          } catch (error) {
            if (isAbsent(error)) absences++;
            throw error;
          }
        });
      } catch (error) {
        signal.throwIfAborted();
        throw isAbsent(error) ? missing(chunk.digest, error) : error;
      }
    },
    get requests() {
      return requests;
    },
    get fetched() {
      return fetched;
    },
    [Symbol.dispose]() {
      ending.abort(new Error('nobody reads on'));
      ownPools?.[Symbol.dispose]();
    },
  };
}

function placeOf(location: Location, { ca, proxy }: SourceOptions): StorePlace {
  if (proxy === undefined) return { ca, ...location };
  return { ca, ...location, proxy: { option: proxy.option, environment: { ...proxy.environment } } };
}

/**
 * Where a store has chunks: the file goes before what may follow the path of the store.
 *
 * @returns what makes a URL of the digest of a chunk and of how the files of the store end: {@link PACKED} or {@link PLAIN}
 */
export function chunkUrls(store: string): (digest: string, suffix: string) => string {
  const end = store.search(/[?#]/);
  const path = (end < 0 ? store : store.slice(0, end)).replace(/\/+$/, '');
  const behind = end < 0 ? '' : store.slice(end);
  return (digest, suffix) => `${path}/${digest.slice(0, 4)}/${digest}${suffix}${behind}`;
}

/** How often many that wait for the same server say so, in ms. */
const TOLD_EVERY = 1000;

/** Of those who wait at once, one says so. */
function toldOnce(patience: Patience): Patience {
  let quietUntil = Number.NEGATIVE_INFINITY;
  return {
    get milliseconds() {
      return patience.milliseconds;
    },
    notify(text, pause) {
      const now = performance.now();
      if (now < quietUntil) return;
      quietUntil = now + Math.max(pause, TOLD_EVERY);
      patience.notify(text, pause);
    },
  };
}

function isAbsent(error: unknown): error is RdpullError {
  return error instanceof RdpullError && ABSENT.has(error.code);
}

function missing(digest: string, error: RdpullError): RdpullError {
  return new RdpullError(
    'chunk-missing',
    `chunk ${digest} is missing: ${error.message}`,
    'upload the chunks before the index, all of them; if they lie elsewhere, say so with store=URL',
    { cause: error },
  );
}

function tooLong(url: string, digest: string, most: number): RdpullError {
  return new RdpullError(
    'chunk-damaged',
    `${shownUrl(url)}: chunk ${digest} is another one: the server sends more than the ${most} bytes that it can have`,
    'look what the server answers for this URL; upload the chunk again',
  );
}
