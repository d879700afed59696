import path from 'node:path';
import { Pools } from '../source/pools.ts';
import type { SourceOptions } from '../source/source.ts';
import { aboutUrl } from '../transfer/failed-stream.ts';
import type { Limits } from '../transfer/limits.ts';
import { findPromise, type Verification } from '../transfer/promise.ts';
import { publishImage } from '../transfer/publish-image.ts';
import { TargetRoom } from '../transfer/room/target-room.ts';
import { sideFilesBeside } from '../transfer/side-files.ts';
import { Staging } from '../transfer/staging.ts';
import type { TransferObserver, TransferResult } from '../transfer/transfer.ts';
import { type ChunkedImagePlaces, openChunkedImage } from './chunked-image.ts';
import { openBlockFetcher } from './fetch/block-fetcher.ts';
import type { FetchFigures } from './fetch/fetch-figures.ts';
import type { ServedImage } from './served-image.ts';
import { openCache, openStaged } from './staged-image.ts';

/** An image in chunks, all of which are wanted. */
export interface ChunkedDownload extends ChunkedImagePlaces, Verification {
  /** The final name of the image. */
  readonly target: string;
  readonly readOnly: boolean;
  readonly force: boolean;
  readonly overcommit: boolean;
  readonly limits: Limits;
  /** The suffixes of the files that belong beside the complete image at `path`. */
  readonly sideFiles: (path: string) => readonly string[];
  /** Who keeps the image for another time. */
  readonly keeper?: ChunkedKeeper | undefined;
}

/** Keeps images in chunks. What fails there is no failure of the download. */
export interface ChunkedKeeper {
  /**
   * It is known which image is wanted, and none of it was fetched yet.
   *
   * @param sha256 of its index
   * @throws whatever the keeper means by it, which ends the download
   */
  begin(sha256: string): void;
  /** All of it is there, and holds. */
  complete(image: KeptImage): Promise<void>;
}

/** An image that is complete. */
export interface KeptImage {
  readonly path: string;
  /** Of the index. */
  readonly url: string;
  readonly lastModified: Date | undefined;
  readonly sha256: string;
  readonly index: Uint8Array;
  /** What vouches for the index, by URL. */
  readonly vouchers: ReadonlyMap<string, Uint8Array>;
  /** What was stored beside the image: the suffix of each file, and its path. */
  readonly sideFiles: ReadonlyMap<string, string>;
  /** Bytes of chunks that no seed had. */
  readonly fetched: number;
}

/** How often an observer hears of the progress, in ms. */
const TELL = 100;

/**
 * Fetches the index of an image, checks it, and then whatever chunks this machine has not; gives the image its name when all of them
 * are there, each of which is what the index says. A failure leaves nothing behind.
 *
 * @throws RdpullError
 */
export async function downloadChunked(
  download: ChunkedDownload,
  options: SourceOptions,
  observer: TransferObserver,
): Promise<TransferResult> {
  const { target, force, limits, overcommit } = download;
  using pools = new Pools();
  const access = { pools, ...options };
  using room = new TargetRoom(path.dirname(target), false);
  using staging = await Staging.open(target, { replace: force, tell: observer.warn });
  const demand = await findPromise(download.locations, download, access, observer.explain);
  using image = await openChunkedImage(download, demand, limits, access);
  const { map, location, url, lastModified } = image;
  try {
    download.keeper?.begin(image.sha256);
    await room.make(await image.room(room.available()), overcommit);
    observer.started({ url, size: undefined, expected: map.size });
    const { fetched, reused } = await fillImage(image, staging.path, options.signal, observer);
    const from = { url: location.url, server: location, lastModified };
    await publishImage(staging, download, from, demand, access, observer.warn);
    room.settle({ bytes: map.size, entries: 1 });
    const { promised, vouchers } = demand;
    const { sha256, index } = image;
    const kept = { path: target, url: location.url, lastModified, sha256, index, vouchers, fetched };
    await download.keeper?.complete({ ...kept, sideFiles: sideFilesBeside(download) });
    return {
      ...{ target, url, received: fetched, decoded: map.size, entries: 1, compression: 'none' },
      ...{ format: 'caibx', sha256, promised, reused: reusedFrom(download, reused) },
    };
  } catch (error) {
    options.signal.throwIfAborted();
    throw aboutUrl(location.url, error);
  }
}

/** Brings all of an image into a new file. */
async function fillImage(
  { map, source, chunks }: ServedImage,
  file: string,
  signal: AbortSignal,
  observer: TransferObserver,
): Promise<FetchFigures> {
  using staged = openStaged(file);
  using cache = openCache(staged, map.size);
  await using fetcher = openBlockFetcher({
    ...{ map, cache, source, signal, path: file, digest: undefined, fillRate: undefined },
    chunks: chunks && { ...chunks, isAlone: true },
  });
  const tell = () => {
    const { fetched, present } = fetcher.figures;
    observer.progress({ received: fetched, decoded: present });
  };
  const telling = setInterval(tell, TELL);
  try {
    await fetcher.fill();
    return fetcher.figures;
  } finally {
    clearInterval(telling);
  }
}

/** Bytes that each seed had, those that had any. */
function reusedFrom(
  { seeds }: ChunkedDownload,
  reused: ReadonlyMap<string, number>,
): NonNullable<TransferResult['reused']> {
  return seeds.flatMap(({ image }) => {
    const bytes = reused.get(image);
    return bytes === undefined ? [] : [{ path: image, bytes }];
  });
}
