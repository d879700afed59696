import path from 'node:path';
import type { Compression } from '../decode/compression-magic.ts';
import { type FileType, isTree } from '../request/image-class.ts';
import type { MirroredSource } from '../source/mirrored-source.ts';
import { Pools } from '../source/pools.ts';
import type { Location, SourceOptions } from '../source/source.ts';
import { checksumMismatch } from '../verify/checksum-mismatch.ts';
import { convertImage } from './conversion/conversion.ts';
import { type Copies, type Copy, SpoiltCopy } from './copies.ts';
import type { ExpectedSize } from './expected-size.ts';
import { aboutSize, aboutUrl, originOf } from './failed-stream.ts';
import type { Limits } from './limits.ts';
import { lookAhead } from './look-ahead.ts';
import { aboutCopy, type Origin, openOrigin } from './origin.ts';
import { osTreeRoot } from './os-tree.ts';
import type { Destination, PipelineResult } from './pipeline/messages.ts';
import { Pipeline } from './pipeline/pipeline.ts';
import {
  type Demand,
  findPromise,
  type Promised,
  type Received,
  requirePromise,
  type Verification,
} from './promise.ts';
import { type PublishedSource, publishImage } from './publish-image.ts';
import { compileReluctantly } from './reluctant-compiler.ts';
import { TargetRoom } from './room/target-room.ts';
import { sideFilesBeside } from './side-files.ts';
import { Staging } from './staging.ts';
import { createStarts, type Start } from './starts.ts';
import { stream } from './stream.ts';
import { makeTreeRoot } from './tree-root.ts';

/** One file to be fetched, and what to make of it. */
export interface Transfer extends Verification {
  /** Where it lies: at least one place. All of them are to have the same file. */
  readonly locations: readonly Location[];
  readonly type: FileType;
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
  /** Files that were served before, and where to keep this one. */
  readonly copies?: Copies | undefined;
  /** Whether the SHA-256 of the bytes is to be told, also when nothing is held against it. */
  readonly tellsDigest: boolean;
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
  /**
   * The image is all there and holds, and what came is being converted to a raw one: told at the beginning, and each
   * second while it goes on.
   */
  converting(state: { readonly converted: number; readonly size: number }): void;
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
  /** Bytes after decompression and conversion: the exact size of a raw image. */
  readonly decoded: number;
  readonly entries: number;
  readonly compression: Compression;
  /** What was in the file: a qcow2 image has become a raw one. */
  readonly format: PipelineResult['format'] | 'oci' | 'caibx';
  /** Of the bytes as served, lower-case hexadecimal; of a container image that of its manifest, of one in chunks that of its index. Undefined
   * where nothing is held against it, and nobody has asked for it. */
  readonly sha256: string | undefined;
  /** How many a container image has. */
  readonly layers?: number;
  /** Of an image in chunks: bytes of it that files of this machine had, each that had any. */
  readonly reused?: readonly { readonly path: string; readonly bytes: number }[];
  /** What vouched for them; undefined for `verify=no`. */
  readonly promised: Promised | undefined;
  /** Where they lay on this machine, when no server had to send them. */
  readonly copy?: Copy;
}

/**
 * Fetches, checks and publishes one image. What it needs to know to judge the image (digest, signature) is fetched
 * and checked first; the image gets its final name only when all of it holds. A failure leaves nothing behind.
 *
 * Where a new start can help, because the file was replaced meanwhile or one of several servers has sent a bad one,
 * everything is begun anew: what was written, the digest, and the promise that it is checked against. So it is where a copy on this
 * machine was not what it should be.
 *
 * @throws RdpullError
 */
export async function runTransfer(
  transfer: Transfer,
  options: SourceOptions,
  observer: TransferObserver,
): Promise<TransferResult> {
  const starts = createStarts(transfer.locations, (text) => options.patience?.notify(text, 0));
  using pools = new Pools();
  const access = { pools, ...options };
  for (;;) {
    const start = starts.next();
    try {
      return await transferOnce(transfer, start, access, observer);
    } catch (error) {
      options.signal.throwIfAborted();
      if (!(error instanceof SpoiltCopy)) starts.failed(start, error);
    }
  }
}

async function transferOnce(
  transfer: Transfer,
  start: Start,
  options: SourceOptions,
  observer: TransferObserver,
): Promise<TransferResult> {
  const { target, type, force } = transfer;
  // Disposed of in the reverse order: what was made is gone before its room is given back.
  using room = new TargetRoom(path.dirname(target), isTree(type));
  using staging = await Staging.open(target, { replace: force, tell: observer.warn });
  await using pipeline = new Pipeline(observer.warn);
  const demand = await findPromise(start.locations, transfer, options, observer.explain);
  const workplace = { room, staging, pipeline };
  using origin = await openOrigin(transfer, start, demand.promised, options);
  const { source, copy } = origin;
  const { received, result } = await receiveFrom(origin, workplace, demand, transfer, options, observer);
  const { entries, compression, format } = result;
  const decoded = await converted(source, workplace, received, result, transfer, options, observer);
  const published = publishedSource(origin, start);
  if (isTree(type)) staging.publish(osTreeRoot(staging.path));
  else await publishImage(staging, transfer, published, demand, options, observer.warn);
  room.settle({ bytes: decoded, entries });
  const sha256 = source.isDigested ? source.sha256() : undefined;
  await origin.kept?.complete({
    ...published,
    ...{ validator: source.validator, size: received, sha256: source.sha256() },
    ...{ compression, vouchers: demand.vouchers },
    sideFiles: isTree(type) ? new Map() : sideFilesBeside(transfer),
  });
  if (copy !== undefined) transfer.copies?.confirmed(copy, demand.vouchers);
  return {
    ...{ target, url: copy?.url ?? source.url, received, decoded, entries, compression, format, sha256 },
    promised: demand.promised,
    ...(copy !== undefined && { copy }),
  };
}

/**
 * Takes the bytes, and holds them against what was promised.
 *
 * @throws SpoiltCopy when a copy is not what it should be
 */
async function receiveFrom(
  { source, copy }: Origin,
  workplace: Workplace,
  { promised }: Demand,
  transfer: Transfer,
  options: SourceOptions,
  observer: TransferObserver,
): Promise<{ readonly received: number; readonly result: PipelineResult }> {
  const wanted = { ...transfer, isVouchedFor: promised !== undefined };
  try {
    const outcome = await receive(source, workplace, wanted, options, observer);
    if (promised === undefined && copy === undefined) return outcome;
    const held = { sha256: source.sha256(), bytes: outcome.received };
    requirePromise(originOf(source), promised, held);
    if (copy !== undefined) requireCopied(copy, held);
    return outcome;
  } catch (error) {
    throw aboutCopy(transfer.copies, copy, options, error);
  }
}

/** What was copied has to be what is there: without a promise, nothing else says that it is. */
function requireCopied({ path: file, sha256, url }: Copy, { sha256: actual, bytes }: Received): void {
  if (actual === sha256) return;
  throw checksumMismatch({ url: file, bytes, actual, expected: sha256, manifestUrl: url });
}

/** What belongs to the image is asked for where the image was: beside a copy there is nothing. */
function publishedSource({ source, copy }: Origin, { locations: [first] }: Start): PublishedSource {
  const [server] = copy === undefined ? source.origins() : [first];
  const url = copy === undefined ? originOf(source) : (first?.url ?? copy.url);
  return { url, server, lastModified: source.lastModified };
}

/** Where the object is made, and by whom. */
interface Workplace {
  readonly room: TargetRoom;
  readonly staging: Staging;
  readonly pipeline: Pipeline;
}

/** Source -> decoder -> the staging path, when there is room for what it will become. */
async function receive(
  source: MirroredSource,
  { room, staging, pipeline }: Workplace,
  transfer: Transfer & Pick<Destination, 'isVouchedFor'>,
  options: SourceOptions,
  observer: TransferObserver,
): Promise<{ readonly received: number; readonly result: PipelineResult }> {
  const { body, expected } = await lookAhead(source, room, transfer, options);
  const { url, size } = source;
  observer.started({ url, size, expected: expectedStream(expected) });
  pipeline.start(destinationAt(staging.path, transfer), transfer.memory, isSmall(transfer, expected));
  if (transfer.type === 'raw') compileReluctantly();
  try {
    return await stream(body, pipeline, transfer.limits, options.signal, (state) => observer.progress(state));
  } catch (error) {
    throw aboutUrl(originOf(source), aboutSize(expected, error));
  }
}

/** A worker is 6 ms, and 15 of a processor. What is packed may become as much as it likes, and nothing else would be done meanwhile. */
const SMALL_BYTES = 256 * 1024;

function isSmall({ type }: Transfer, { compression, format, exact, uncompressed }: ExpectedSize): boolean {
  return (
    type === 'raw' && compression === 'none' && format === undefined && exact && uncompressed <= SMALL_BYTES
  );
}

/** What is to be made at the staging path. */
function destinationAt(
  path: string,
  { type, limits, isVouchedFor }: Transfer & Pick<Destination, 'isVouchedFor'>,
): Destination {
  if (type === 'raw') return { kind: 'raw-image', path, limits, isVouchedFor };
  makeTreeRoot(path);
  return { kind: 'directory-tree', path, limits, isVouchedFor };
}

/** What will come out of decompression: of a qcow2 image only what becomes of it is known. */
function expectedStream({ format, uncompressed }: ExpectedSize): number | undefined {
  return format === 'qcow2' || uncompressed === 0 ? undefined : uncompressed;
}

/**
 * What was downloaded, and holds, becomes what was asked for: a qcow2 image is made a raw one.
 *
 * @returns the bytes of the image, or of the tar stream
 */
async function converted(
  source: MirroredSource,
  { room, pipeline }: Omit<Workplace, 'staging'>,
  received: number,
  { format, bytes }: PipelineResult,
  { limits, overcommit }: Transfer,
  { signal }: SourceOptions,
  observer: TransferObserver,
): Promise<number> {
  if (format !== 'qcow2') return bytes;
  const tell = (converted: number, size: number) => observer.converting({ converted, size });
  try {
    return await convertImage(received, { pipeline, room, limits, overcommit, signal, tell });
  } catch (error) {
    signal.throwIfAborted();
    throw aboutUrl(originOf(source), error);
  }
}
