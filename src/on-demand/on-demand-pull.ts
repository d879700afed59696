import fs from 'node:fs';
import path from 'node:path';
import type { BlockMap } from '../blocks/block-map.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import type { AttachedLoopDevice } from '../expose/loop-device.ts';
import { keepNetwork } from '../initramfs/kept-network.ts';
import { isChunkIndexUrl } from '../request/image-name.ts';
import { Pools } from '../source/pools.ts';
import type { Location, SourceOptions } from '../source/source.ts';
import { describeFile } from '../transfer/copies.ts';
import { aboutUrl } from '../transfer/failed-stream.ts';
import { requireDownload, requireSize } from '../transfer/limits.ts';
import { type Demand, findPromise, type Promised } from '../transfer/promise.ts';
import { TargetRoom } from '../transfer/room/target-room.ts';
import { Staging } from '../transfer/staging.ts';
import { Attachment, makeMountable, mayEnd } from './attachment.ts';
import { complete, filled, handOver } from './completion.ts';
import type { ReadImage } from './dirty-journal.ts';
import { openBlockFetcher } from './fetch/block-fetcher.ts';
import type { FetchFigures } from './fetch/fetch-figures.ts';
import { openFuseFile } from './fuse/fuse-file.ts';
import { keepImage, keepParts } from './kept-image.ts';
import type { OnDemandObserver } from './on-demand-observer.ts';
import type { OnDemandRequest } from './on-demand-request.ts';
import { planOnDemand, type WholeDownload } from './plan-on-demand.ts';
import { startPulse } from './pulse.ts';
import { ReadersPatience } from './readers-patience.ts';
import type { ServedImage } from './served-image.ts';
import type { ShownImage } from './shown-image.ts';
import { openCache, openStaged } from './staged-image.ts';
import { keepUnit, surviveSwitchRoot } from './switch-root.ts';

/** The file is here already: whoever keeps it has it. */
export interface HeldImage {
  readonly kind: 'held';
}

export interface OnDemandResult {
  readonly kind: 'complete';
  readonly target: string;
  readonly url: string;
  /** Bytes of the image. */
  readonly decoded: number;
  readonly format: BlockMap['format'];
  /** Of the file as served, where it was promised, or came by the way. */
  readonly sha256: string | undefined;
  readonly promised: Promised | undefined;
  readonly figures: FetchFigures;
  readonly device: AttachedLoopDevice;
  readonly root: string | undefined;
  /** Whether the device has the plain file now; not where somebody has detached it. */
  readonly handedOver: boolean;
}

/** Asks, for each signal that would end the process, whether it may. */
export type Guard = (mayEnd: (signal: string) => boolean) => Disposable;

/**
 * Attaches an image before it is there, fetches what is read of it first and the rest behind, checks the whole, gives it its
 * name, and hands the device over to the plain file.
 *
 * @returns that it is here already, or why it has to be downloaded whole, when nothing was attached yet
 * @throws RdpullError; the reason of the signal. No device remains then that nobody has mounted, and no unfinished image
 */
export async function pullOnDemand(
  pull: OnDemandRequest,
  options: SourceOptions,
  observer: OnDemandObserver,
  guard: Guard,
): Promise<OnDemandResult | HeldImage | WholeDownload> {
  using pools = new Pools();
  using survivor = pull.inInitrd ? surviveSwitchRoot(hostsOf(pull.locations), observer.warn) : undefined;
  using pulse = startPulse(() => survivor?.follow());
  const patience = new ReadersPatience(options.patience, survivor);
  const access = { pools, ...options, patience, warn: observer.warn };
  const demand = await findPromise(pull.locations, pull, access, observer.explain);
  if (await isHeld(pull, demand, access)) return { kind: 'held' };
  const plan = await planOnDemand(pull, demand, access);
  if (plan.kind === 'whole') return plan;
  using served = plan.image;
  const { map, url, size, index, sha256 } = served;
  try {
    if (index !== undefined && sha256 !== undefined) pull.keeper?.begin(sha256);
    using room = new TargetRoom(path.dirname(pull.target), false);
    using staging = await Staging.open(pull.target, { replace: pull.force, tell: observer.warn });
    await makeRoom(room, served, pull);
    using image = openStaged(staging.path);
    using cache = openCache(image, map.size);
    observer.started({ url, size, imageSize: map.size });
    using parts = keepParts(pull.keeper, served);
    const shown: ShownImage = {
      ...{ pull, demand, image: served, parts, staging, room, cache, survivor, pulse, patience, observer },
    };
    const result = await show(shown, access, guard);
    await keepImage(shown, result);
    return result;
  } catch (error) {
    options.signal.throwIfAborted();
    if (error instanceof RdpullError && error.code === 'fuse-missing')
      return { kind: 'whole', what: error.message, remedy: error.hint };
    throw aboutUrl(served.location.url, error);
  }
}

/** An index is small, and is fetched: its chunks are read where they lie. */
async function isHeld(
  { keeper, locations }: OnDemandRequest,
  { promised }: Demand,
  options: SourceOptions,
): Promise<boolean> {
  if (keeper === undefined || locations.some(({ url }) => isChunkIndexUrl(url))) return false;
  return await keeper.has(promised, () => describeFile(locations, options));
}

function hostsOf(locations: readonly Location[]): string[] {
  const hosts = locations.flatMap(({ url }) => URL.parse(url)?.hostname ?? []);
  return hosts.filter((host) => host !== '' && !/^[\d.]+$|^\[/.test(host));
}

/** Judges by what is known beforehand whether the image may and can be kept, as for a download. */
async function makeRoom(
  room: TargetRoom,
  { map, size, room: needed }: ServedImage,
  { limits, overcommit }: OnDemandRequest,
): Promise<void> {
  requireDownload(size ?? 0, limits);
  requireSize(map.size, size, limits);
  await room.make(await needed(Math.min(room.available(), limits.size)), overcommit);
}

/** From the first byte that can be read to the plain file. */
async function show(shown: ShownImage, options: SourceOptions, guard: Guard): Promise<OnDemandResult> {
  const { pull, demand, image, parts, staging, cache, pulse, patience, observer } = shown;
  const { map, source, chunks, url } = image;
  const { signal } = options;
  // Bytes as served wait there that came before it was the digest's turn to see them.
  const isDigestWanted = parts !== undefined || (demand.promised !== undefined && image.sha256 === undefined);
  using waiting = isDigestWanted ? openStaged(path.join(path.dirname(staging.path), 'served')) : undefined;
  const { fillRate } = pull.onDemand;
  await using fetcher = openBlockFetcher({
    ...{ map, cache, source, chunks, signal, path: staging.path, digest: waiting, parts },
    fillRate: Number.isFinite(fillRate) ? fillRate : undefined,
  });
  const read: ReadImage = async (offset, length) => {
    await fetcher.want(offset, length);
    const bytes = Buffer.alloc(length);
    return bytes.subarray(0, fs.readSync(cache.fd, bytes, 0, length, offset));
  };
  await using file = await openFuseFile(cache, fetcher.want, { path: pull.target });
  await using attachment = await Attachment.make(file, shown, fetcher.want);
  const { device, root } = attachment;
  await makeMountable(device, root, shown, read);

  patience.isEndless = true;
  const isRoot = pull.unit !== undefined && pull.inInitrd;
  if (isRoot) keepUnit(pull.unit, observer.warn);
  using _network = isRoot ? keepNetwork(observer.warn) : undefined;
  using _guard = guard((received) => mayEnd(received, device, shown));
  using _progress = pulse.each(() => observer.progress(fetcher.figures, attachment.hasBeenMounted()));
  pull.keeper?.shown();
  observer.attached(device, root);
  const sha256 = (await filled(fetcher, file, attachment, shown, signal)) ?? image.sha256;
  await complete(sha256, shown, options);
  const handedOver = await handOver(file, attachment, shown, signal);
  const { promised } = demand;
  const { target } = pull;
  const { figures } = fetcher;
  return {
    ...{ kind: 'complete', target, url, decoded: map.size, format: map.format, sha256, promised, figures },
    ...{ device, root, handedOver },
  };
}
