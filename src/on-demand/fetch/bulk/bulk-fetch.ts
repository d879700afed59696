import os from 'node:os';
import type { ChunkTable } from '../../../blocks/chunk-index.ts';
import type { ChunkStores, StorePlace } from '../../../chunks/chunk-stores.ts';
import { RdpullError } from '../../../console/rdpull-error.ts';
import { createFlushing } from '../../../transfer/sink/flushing.ts';
import { type BulkChunks, DIGEST_BYTES, type FromBulkWorker, type ToBulkWorker } from './messages.ts';
import { isMuchMissing, type MissingChunk, type MissingOptions, missingChunks } from './missing-chunks.ts';

/** Threads that fetch, at most: each has connections of its own, and is busy with what they bring. */
const WORKERS = Math.min(2, os.availableParallelism());
/** What a thread has before it: more than it asks for and keeps in memory at once, so that it need not wait for the main thread. */
const GIVEN_BYTES = 16 * 1024 * 1024;
const GIVEN_CHUNKS = 512;
/** What it is given at once. */
const BATCH_BYTES = 2 * 1024 * 1024;
const BATCH_CHUNKS = 64;

export interface BulkFetchOptions extends MissingOptions {
  readonly stores: ChunkStores;
  /** The file of the image, and its name. */
  readonly fd: number;
  readonly path: string;
  readonly signal: AbortSignal;
}

/**
 * Fetches the chunks of an image that nobody reads meanwhile, most of them: each thread takes what comes over a connection of its own, checks it
 * and writes it. What is unusual about a server or a chunk is no error here: it is left to who fetches the rest, and tells it.
 *
 * @throws RdpullError limit-exceeded; of the storage family, when the disk does not keep what was written; the reason of the signal
 */
export async function fetchInBulk(options: BulkFetchOptions): Promise<void> {
  const { fd, path } = options;
  const flushing = createFlushing(fd, path);
  const arrived = (start: number, length: number) => {
    options.arrived(start, length);
    flushing.written(length);
  };
  try {
    await fetchFromEach({ ...options, arrived });
  } catch (error) {
    await flushing.end().catch(() => undefined);
    throw error;
  }
  await flushing.end();
}

async function fetchFromEach(options: BulkFetchOptions): Promise<void> {
  for (const place of options.stores.places) {
    if (!/^https?:/.test(place.url)) continue;
    if (!isMuchMissing(options)) return;
    await fetchFrom(place, options);
  }
}

/** One store, asked by all threads. Settles when nobody of them fetches any more. */
async function fetchFrom(place: StorePlace, options: BulkFetchOptions): Promise<void> {
  const { signal } = options;
  const chunks = missingChunks(options);
  const ending = new AbortController();
  const threads = Array.from({ length: WORKERS }, () => runThread(place, chunks, options, ending.signal));
  const aborted = () => ending.abort(signal.reason);
  signal.addEventListener('abort', aborted);
  if (signal.aborted) aborted();
  try {
    await Promise.all(threads);
  } catch (error) {
    // No thread writes to the file any more when this is over.
    ending.abort(error);
    await Promise.allSettled(threads);
    throw error;
  } finally {
    signal.removeEventListener('abort', aborted);
  }
  signal.throwIfAborted();
}

/** Lets one thread fetch until there is nothing left, or it gives up. */
async function runThread(
  place: StorePlace,
  chunks: Iterator<MissingChunk, void>,
  { table, stores, fd, arrived }: BulkFetchOptions,
  signal: AbortSignal,
): Promise<void> {
  const worker = new Worker(new URL('./bulk-worker.ts', import.meta.url).href);
  const send = (message: ToBulkWorker) => worker.postMessage(message);
  const ended = Promise.withResolvers<void>();
  /** What it was given, and has neither brought nor left, by where it begins. */
  const given = new Map<number, MissingChunk>();
  let bytes = 0;
  let isLast = false;
  let failure: { readonly error: unknown } | undefined;

  /** Gives it more, until it has so many bytes before it. */
  function give(wanted: number): void {
    while (!isLast && bytes < wanted && given.size < GIVEN_CHUNKS) {
      const batch: MissingChunk[] = [];
      for (let room = BATCH_BYTES; room > 0 && batch.length < BATCH_CHUNKS; ) {
        const { value, done } = chunks.next();
        isLast = done === true;
        if (done === true) break;
        batch.push(value);
        room -= value.length;
        bytes += value.length;
        given.set(value.start, value);
      }
      send({ kind: 'chunks', chunks: packed(table, batch), isLast });
    }
  }

  function settle(start: number): MissingChunk | undefined {
    const chunk = given.get(start);
    given.delete(start);
    bytes -= chunk?.length ?? 0;
    return chunk;
  }

  /** What has come, in as few parts as it lies in. */
  function* settledParts(
    starts: readonly number[],
  ): Generator<{ readonly from: number; readonly to: number }> {
    let part: { from: number; to: number } | undefined;
    for (const start of starts) {
      const { length, otherStarts } = settle(start) ?? NONE;
      for (const from of otherStarts) yield { from, to: from + length };
      const end = start + length;
      if (part?.to === start) part.to = end;
      else {
        if (part !== undefined) yield part;
        part = { from: start, to: end };
      }
    }
    if (part !== undefined) yield part;
  }

  function fail(error: unknown): void {
    failure ??= { error };
    send({ kind: 'close' });
  }

  worker.onmessage = ({ data }: MessageEvent<FromBulkWorker>) => {
    if (data.kind === 'ended') {
      ended.resolve();
      return;
    }
    for (const { from, to } of settledParts(data.arrived)) arrived(from, to - from);
    data.left.forEach(settle);
    try {
      stores.count(data.requests, data.fetched);
      give(GIVEN_BYTES);
    } catch (error) {
      fail(error);
    }
  };
  worker.onerror = ({ error, message }) => {
    failure ??= { error: RdpullError.from(error ?? new Error(message)) };
    ended.resolve();
  };
  const aborted = () => send({ kind: 'close' });
  signal.addEventListener('abort', aborted);
  try {
    const average = Math.ceil(table.size / table.count);
    send({ kind: 'start', place, algorithm: table.algorithm, average, fd });
    if (signal.aborted) aborted();
    // At first one batch, so that each thread has something to do.
    else give(1);
    await ended.promise;
  } finally {
    signal.removeEventListener('abort', aborted);
    worker.terminate();
  }
  if (failure !== undefined) throw failure.error;
}

/** What nobody has asked a thread for. */
const NONE: Pick<MissingChunk, 'length' | 'otherStarts'> = { length: 0, otherStarts: [] };

function packed(table: ChunkTable, chunks: readonly MissingChunk[]): BulkChunks {
  const digests = Buffer.alloc(DIGEST_BYTES * chunks.length);
  for (const [place, { number }] of chunks.entries()) table.copyDigest(number, digests, DIGEST_BYTES * place);
  return {
    starts: Float64Array.from(chunks, ({ start }) => start),
    lengths: Uint32Array.from(chunks, ({ length }) => length),
    digests,
    otherStarts: new Map(
      chunks.flatMap(({ otherStarts }, place) => (otherStarts.length === 0 ? [] : [[place, otherStarts]])),
    ),
  };
}
