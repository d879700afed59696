import fs from 'node:fs';
import path from 'node:path';
import { size } from '../console/quantity.ts';
import { ERROR_CODES, RdpullError } from '../console/rdpull-error.ts';
import { shownUrl } from '../console/shown-url.ts';
import type { Compression } from '../decode/compression.ts';
import type { ImageType } from '../request/image-class.ts';
import { createCollector } from '../source/collector.ts';
import type { Joining } from '../source/continued-source.ts';
import { type MirroredSource, openMirroredSource } from '../source/mirrored-source.ts';
import { peek } from '../source/peek.ts';
import { readPart } from '../source/read-part.ts';
import type { Location, SourceOptions } from '../source/source.ts';
import { type ExpectedSize, expectSize, START_BYTES } from './expected-size.ts';
import { type Limits, requireDownload, requireSize } from './limits.ts';
import { osTreeRoot } from './os-tree.ts';
import type { Destination, PipelineResult } from './pipeline/messages.ts';
import { Pipeline } from './pipeline/pipeline.ts';
import { type Demand, findPromise, type Promised, requirePromise, type Verification } from './promise.ts';
import { TargetRoom } from './room/target-room.ts';
import { fetchSideFiles } from './side-files.ts';
import { storageError } from './sink/storage-error.ts';
import { Staging } from './staging.ts';
import { createStarts, type Start } from './starts.ts';

/** One file to be fetched, and what to make of it. */
export interface Transfer extends Verification {
  /** Where it lies: at least one place. All of them are to have the same file. */
  readonly locations: readonly Location[];
  readonly type: ImageType;
  /** The final name of the object. */
  readonly target: string;
  readonly readOnly: boolean;
  /** Replace an existing object. */
  readonly force: boolean;
  /** The suffixes of the files that belong beside the complete image at `path`. */
  readonly sideFiles: (path: string) => readonly string[];
  /** Begin even when the object seems to be too large for the target's file system. */
  readonly overcommit: boolean;
  readonly limits: Limits;
  /** Bytes that may be resident, more or less: less of it takes longer. */
  readonly memory: number;
}

/** Who watches a transfer. Bytes throughout. */
export interface TransferObserver {
  /**
   * The file is found, and its bytes begin to arrive; once more when everything has to start over. `expected` is its
   * size after decompression, or the least of it, where that is known.
   */
  started(source: {
    readonly url: string;
    readonly size: number | undefined;
    readonly expected: number | undefined;
  }): void;
  /** Called often: whenever bytes arrived. */
  progress(state: { readonly received: number; readonly decoded: number }): void;
  warn(text: string): void;
  /** Takes a line for each step of the verification. */
  explain(text: string): void;
}

export interface TransferResult {
  readonly target: string;
  /** Where the bytes came from in the end, after redirects. */
  readonly url: string;
  /** Bytes as served. */
  readonly received: number;
  /** Bytes after decompression: the exact size of a raw image. */
  readonly decoded: number;
  readonly entries: number;
  readonly compression: Compression;
  /** Of the bytes as served, lower-case hexadecimal. */
  readonly sha256: string;
  /** What vouched for them; undefined for `verify=no`. */
  readonly promised: Promised | undefined;
}

/**
 * Fetches, checks and publishes one image. What it needs to know to judge the image (digest, signature) is fetched
 * and checked first; the image gets its final name only when all of it holds. A failure leaves nothing behind.
 *
 * Where a new start can help, because the file was replaced meanwhile or one of several servers has sent a bad one,
 * everything is begun anew: what was written, the digest, and the promise that it is checked against.
 *
 * @throws RdpullError
 */
export async function runTransfer(
  transfer: Transfer,
  options: SourceOptions,
  observer: TransferObserver,
): Promise<TransferResult> {
  const starts = createStarts(transfer.locations, (text) => options.patience?.notify(text, 0));
  for (;;) {
    const start = starts.next();
    try {
      return await transferOnce(transfer, start, options, observer);
    } catch (error) {
      options.signal.throwIfAborted();
      starts.failed(start, error);
    }
  }
}

async function transferOnce(
  transfer: Transfer,
  start: Start,
  options: SourceOptions,
  observer: TransferObserver,
): Promise<TransferResult> {
  // Disposed of in the reverse order: what was made is gone before its room is given back.
  using room = new TargetRoom(path.dirname(transfer.target), transfer.type === 'tar');
  using staging = await Staging.open(transfer.target, { replace: transfer.force, tell: observer.warn });
  await using pipeline = new Pipeline(observer.warn);
  const demand = await findPromise(start.locations, transfer, options, observer.explain);
  const { promised } = demand;
  const digest = new Bun.CryptoHasher('sha256');
  const source = await openMirroredSource(start.locations, {
    ...options,
    joining: joining(start, promised),
    sha256: () => digest.copy().digest('hex'),
  });
  start.opened(source);
  try {
    const { body, expected } = await lookAhead(
      { ...source, body: digested(source.body, digest) },
      room,
      transfer,
      options,
    );
    const { url, size } = source;
    observer.started({ url, size, expected: expected.uncompressed || undefined });
    pipeline.start(destinationAt(staging.path, transfer), transfer.memory);
    const { received, result } = await stream(
      { ...source, body },
      pipeline,
      expected,
      transfer,
      options,
      observer,
    );
    const sha256 = digest.digest('hex');
    requirePromise(originOf(source), promised, { sha256, bytes: received });
    if (transfer.type === 'tar') staging.publish(osTreeRoot(staging.path));
    else await publishImage(staging, transfer, source, demand, options, observer.warn);
    room.settle(result);
    return {
      target: transfer.target,
      url: source.url,
      received,
      decoded: result.bytes,
      entries: result.entries,
      compression: result.compression,
      sha256,
      promised,
    };
  } finally {
    source.close();
  }
}

/**
 * Judges by what is known beforehand whether the object may and can be made, and makes room for it. The body has been
 * looked at, and no more, when it returns.
 */
async function lookAhead(
  source: MirroredSource,
  room: TargetRoom,
  { limits, overcommit }: Transfer,
  options: SourceOptions,
): Promise<{ body: AsyncIterable<Uint8Array>; expected: ExpectedSize }> {
  try {
    requireDownload(source.size ?? 0, limits);
    const { start, body } = await peek(source.body, START_BYTES);
    const [origin] = source.origins();
    const asked = { ...options, ...origin };
    const expected = await expectSize({
      start,
      size: source.size,
      readAt: source.acceptsRanges ? (from, length) => readPart(source, asked, from, length) : undefined,
      enough: Math.min(room.available(), limits.size),
    });
    requireSize(expected.uncompressed, source.size, limits);
    await room.make(expected, overcommit);
    return { body, expected };
  } catch (error) {
    options.signal.throwIfAborted();
    throw aboutUrl(originOf(source), error);
  }
}

/** A body that is hashed as it goes by, so that the digest never lags behind what was taken. */
async function* digested(
  body: AsyncIterable<Uint8Array>,
  digest: Bun.CryptoHasher,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    digest.update(chunk);
    yield chunk;
  }
}

/** What is reason enough to join the bytes of two answers. */
function joining({ mayJoinOnTrust }: Start, promised: Promised | undefined): Joining {
  if (!mayJoinOnTrust) return 'compared';
  return promised === undefined ? 'validated' : 'promised';
}

/** What the worker is to make at the staging path. */
function destinationAt(path: string, { type, limits }: Transfer): Destination {
  if (type === 'raw') return { kind: 'raw-image', path, limits };
  try {
    fs.mkdirSync(path, { mode: 0o755 });
  } catch (error) {
    throw storageError(path, 0, error);
  }
  return { kind: 'directory-tree', path, limits };
}

/** Socket -> digest of the bytes as served -> ring -> worker, which decodes and writes. */
async function stream(
  source: MirroredSource,
  pipeline: Pipeline,
  expected: ExpectedSize,
  { limits }: Transfer,
  { signal }: SourceOptions,
  observer: TransferObserver,
): Promise<{ received: number; result: PipelineResult }> {
  const collector = createCollector();
  let received = 0;
  // The worker may be busy with gigabytes of zeros that came out of its last bytes.
  const cancel = () => pipeline.cancel();
  signal.addEventListener('abort', cancel);
  try {
    for await (const chunk of source.body) {
      signal.throwIfAborted();
      await pipeline.write(chunk);
      received += chunk.length;
      requireDownload(received, limits);
      collector.received(chunk.length);
      observer.progress({ received, decoded: pipeline.decodedBytes });
    }
    const result = await pipeline.finish();
    signal.throwIfAborted();
    return { received, result };
  } catch (error) {
    signal.throwIfAborted();
    throw aboutUrl(originOf(source), aboutSize(expected, error));
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}

/** What was written until the target was full says little without what would have been written in all. */
function aboutSize({ uncompressed, exact }: ExpectedSize, error: unknown): unknown {
  if (!(error instanceof RdpullError) || error.code !== 'disk-full' || uncompressed === 0) return error;
  const message = `${error.message}; the image is ${exact ? '' : 'at least '}${size(uncompressed)} after decompression`;
  return new RdpullError(error.code, message, error.hint, { cause: error });
}

/** Where the bytes come from, as it was asked for; of several places the first. */
function originOf(source: MirroredSource): string {
  const [origin] = source.origins();
  return origin?.url ?? source.url;
}

/** A decoder knows what is wrong with the stream, but not whose stream it is. */
function aboutUrl(url: string, error: unknown): unknown {
  if (!(error instanceof RdpullError)) return error;
  const shown = shownUrl(url);
  const family = ERROR_CODES[error.code];
  const isSources = family === 'network' || (family === 'http' && error.code !== 'http-web-page');
  if (isSources || error.message.includes(shown)) return error;
  return new RdpullError(error.code, `${shown}: ${error.message}`, error.hint, { cause: error });
}

/** The attributes of the finished image, what belongs beside it, and its final name. */
async function publishImage(
  staging: Staging,
  { target, force, readOnly, sideFiles }: Transfer,
  source: MirroredSource,
  demand: Demand,
  options: SourceOptions,
  warn: (text: string) => void,
): Promise<void> {
  const { lastModified } = source;
  const [origin] = source.origins();
  const suffixes = sideFiles(staging.path);
  const url = originOf(source);
  const access = { ...options, ...origin };
  using beside = await fetchSideFiles({ url, suffixes, target, force, demand, warn }, access);
  try {
    fs.chmodSync(staging.path, readOnly ? 0o444 : 0o644);
    if (lastModified !== undefined) fs.utimesSync(staging.path, lastModified, lastModified);
  } catch (error) {
    throw storageError(staging.path, 0, error);
  }
  try {
    beside.publish();
    staging.publish();
  } catch (error) {
    beside.retract();
    throw error;
  }
}
