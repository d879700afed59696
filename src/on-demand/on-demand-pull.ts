import fs from 'node:fs';
import path from 'node:path';
import type { BlockMap } from '../blocks/block-map.ts';
import { printable } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import type { AttachedLoopDevice } from '../expose/loop-device.ts';
import { linkDevice, rootDevice } from '../expose/root-partition.ts';
import type { OnDemand } from '../request/on-demand.ts';
import { Pools } from '../source/pools.ts';
import type { Location, Patience, SourceOptions } from '../source/source.ts';
import { aboutUrl } from '../transfer/failed-stream.ts';
import { type Limits, requireDownload, requireSize } from '../transfer/limits.ts';
import {
  type Demand,
  findPromise,
  type Promised,
  requirePromise,
  type Verification,
} from '../transfer/promise.ts';
import { publishImage } from '../transfer/publish-image.ts';
import { TargetRoom } from '../transfer/room/target-room.ts';
import { Staging } from '../transfer/staging.ts';
import type { ImageCache } from './cache/image-cache.ts';
import type { ChunkedImagePlaces } from './chunked-image.ts';
import type { DeviceUse } from './device/device-use.ts';
import { attachOnDemand, type OnDemandDevice } from './device/on-demand-device.ts';
import { dirtyJournals, type ReadImage } from './dirty-journal.ts';
import { type BlockFetcher, openBlockFetcher } from './fetch/block-fetcher.ts';
import type { FetchFigures } from './fetch/fetch-figures.ts';
import { type FuseFile, openFuseFile } from './fuse/fuse-file.ts';
import { keepNetwork } from './kept-network.ts';
import { planOnDemand, type WholeDownload } from './plan-on-demand.ts';
import { type Pulse, startPulse } from './pulse.ts';
import type { ServedImage } from './served-image.ts';
import { openCache, openStaged } from './staged-image.ts';
import { keepUnit, type SwitchRootSurvivor, surviveSwitchRoot } from './switch-root.ts';
import { addSysrootOption } from './sysroot-options.ts';

/** An image that is to be read before it is there, and what to make of it. */
export interface OnDemandPull extends Verification, ChunkedImagePlaces {
  /** Where it lies, or its index: at least one place. All of them are to have the same file. */
  readonly locations: readonly Location[];
  /** The final name of the image, which it has when all of it is there. */
  readonly target: string;
  readonly onDemand: OnDemand;
  /** Where to leave a link to the device with the root file system. */
  readonly rootLink: string | undefined;
  readonly force: boolean;
  readonly overcommit: boolean;
  readonly limits: Limits;
  /** The suffixes of the files that belong beside the complete image at `path`. */
  readonly sideFiles: (path: string) => readonly string[];
  /** The kernel command line, which may say that dm-verity is insisted on. */
  readonly commandLine: string;
  readonly inInitrd: boolean;
  /** The unit that has started this process. */
  readonly unit: string | undefined;
}

/** Who watches. Bytes throughout. */
export interface OnDemandObserver {
  /** The image is found; `size` as served, where that is known, `imageSize` after decompression. */
  started(source: {
    readonly url: string;
    readonly size: number | undefined;
    readonly imageSize: number;
  }): void;
  /** It can be used from now on. */
  attached(device: AttachedLoopDevice, root: string | undefined): void;
  /** Called four times a second. */
  progress(figures: FetchFigures, isMounted: boolean): void;
  /** It is all there, and published, and waits for being mounted: a text. */
  waiting(text: string): void;
  /** Somebody wants the process to end, which it must not: why. */
  goesOn(text: string): void;
  /** No more of it will come; what is there can be read on. */
  broken(error: RdpullError): void;
  warn(text: string): void;
  /** Takes a line for each step of the verification. */
  explain(text: string): void;
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
 * @returns why it has to be downloaded whole, when nothing was attached yet
 * @throws RdpullError; the reason of the signal. No device remains then that nobody has mounted, and no unfinished image
 */
export async function pullOnDemand(
  pull: OnDemandPull,
  options: SourceOptions,
  observer: OnDemandObserver,
  guard: Guard,
): Promise<OnDemandResult | WholeDownload> {
  using pools = new Pools();
  using survivor = pull.inInitrd ? surviveSwitchRoot(hostsOf(pull.locations), observer.warn) : undefined;
  using pulse = startPulse(() => survivor?.follow());
  const patience = new ReadersPatience(options.patience, survivor);
  const access = { pools, ...options, patience, warn: observer.warn };
  const demand = await findPromise(pull.locations, pull, access, observer.explain);
  const plan = await planOnDemand(pull, demand, access);
  if (plan.kind === 'whole') return plan;
  using served = plan.image;
  const { map, url, size } = served;
  try {
    using room = new TargetRoom(path.dirname(pull.target), false);
    using staging = await Staging.open(pull.target, { replace: pull.force, tell: observer.warn });
    await makeRoom(room, served, pull);
    using image = openStaged(staging.path);
    using cache = openCache(image, map.size);
    observer.started({ url, size, imageSize: map.size });
    const shown: Shown = {
      ...{ pull, demand, image: served, staging, room, cache, survivor, pulse, patience, observer },
    };
    return await show(shown, access, guard);
  } catch (error) {
    options.signal.throwIfAborted();
    if (error instanceof RdpullError && error.code === 'fuse-missing')
      return { kind: 'whole', what: error.message, remedy: error.hint };
    throw aboutUrl(served.location.url, error);
  }
}

function hostsOf(locations: readonly Location[]): string[] {
  const hosts = locations.flatMap(({ url }) => URL.parse(url)?.hostname ?? []);
  return hosts.filter((host) => host !== '' && !/^[\d.]+$|^\[/.test(host));
}

/** All that is at work while an image is read on demand. */
interface Shown {
  readonly pull: OnDemandPull;
  readonly demand: Demand;
  readonly image: ServedImage;
  readonly staging: Staging;
  readonly room: TargetRoom;
  readonly cache: ImageCache;
  readonly survivor: SwitchRootSurvivor | undefined;
  readonly pulse: Pulse;
  readonly patience: ReadersPatience;
  readonly observer: OnDemandObserver;
}

/** Judges by what is known beforehand whether the image may and can be kept, as for a download. */
async function makeRoom(
  room: TargetRoom,
  { map, size, room: needed }: ServedImage,
  { limits, overcommit }: OnDemandPull,
): Promise<void> {
  requireDownload(size ?? 0, limits);
  requireSize(map.size, size, limits);
  await room.make(await needed(Math.min(room.available(), limits.size)), overcommit);
}

/** From the first byte that can be read to the plain file. */
async function show(shown: Shown, options: SourceOptions, guard: Guard): Promise<OnDemandResult> {
  const { pull, demand, image, staging, cache, pulse, patience, observer } = shown;
  const { map, source, chunks, url } = image;
  const { signal } = options;
  // Bytes as served wait there that came before it was the digest's turn to see them.
  using waiting =
    demand.promised === undefined || image.sha256 !== undefined
      ? undefined
      : openStaged(path.join(path.dirname(staging.path), 'served'));
  const { fillRate } = pull.onDemand;
  await using fetcher = openBlockFetcher({
    ...{ map, cache, source, chunks, signal, path: staging.path, digest: waiting },
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
  // Looking costs as much as there are processes: once it is, that is enough.
  let isMounted = false;
  const isSeenMounted = () => {
    isMounted ||= device.isMounted();
    return isMounted;
  };
  using _progress = pulse.each(() => observer.progress(fetcher.figures, isSeenMounted()));
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

/** The device while it hangs on this process. Disposing of it detaches it, unless it is done, or somebody has it mounted. */
class Attachment implements AsyncDisposable {
  readonly device: OnDemandDevice;
  readonly root: string | undefined;
  readonly #observer: OnDemandObserver;
  /** It is to stay. */
  isDone = false;

  private constructor(device: OnDemandDevice, root: string | undefined, observer: OnDemandObserver) {
    this.device = device;
    this.root = root;
    this.#observer = observer;
  }

  static async make(
    file: FuseFile,
    { pull, cache, observer }: Shown,
    want: BlockFetcher['want'],
  ): Promise<Attachment> {
    const { rootLink } = pull;
    const { warn } = observer;
    const device = await attachOnDemand(file, cache, { want, warn });
    try {
      const root = rootLink === undefined ? undefined : rootDevice(device);
      if (rootLink !== undefined && root !== undefined) linkDevice(rootLink, root);
      return new Attachment(device, root, observer);
    } catch (error) {
      await device.detach();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.isDone) return;
    try {
      await this.device.detach();
    } catch (error) {
      // What has happened before is the news.
      this.#observer.warn(RdpullError.from(error).message);
    }
  }
}

/** What cannot be written to is mounted without a look at its journal. */
async function makeMountable(
  device: OnDemandDevice,
  root: string | undefined,
  { pull, cache, observer }: Shown,
  read: ReadImage,
): Promise<void> {
  for (const dirty of await dirtyJournals(device, cache.size, read)) {
    const isSysroot = dirty === root && pull.inInitrd && pull.unit !== undefined;
    observer.warn(
      `${dirty} holds an ext4 that was not unmounted: what its journal holds is not seen; ${isSysroot ? 'it is mounted' : 'mount it'} with -o ro,noload`,
    );
    if (isSysroot) await addSysrootOption('noload', observer.warn);
  }
}

/** Asked at each signal: whoever has the image mounted would be left with errors. */
function mayEnd(received: string, device: OnDemandDevice, { survivor, observer }: Shown): boolean {
  survivor?.follow();
  const use = device.use();
  if (use.kind === 'none') return true;
  observer.goesOn(
    `${received}: ${use.what}, and this process goes on until that ends, or all of the image is there`,
  );
  return false;
}

/**
 * Returns when all of the image is there.
 *
 * @returns SHA-256 of the file as served, where that is known
 * @throws RdpullError when it will never be: at once, or where it is mounted, when it is no longer
 */
async function filled(
  fetcher: BlockFetcher,
  file: FuseFile,
  { device }: Attachment,
  { pull, pulse, observer }: Shown,
  signal: AbortSignal,
): Promise<string | undefined> {
  const gone = file.ended.then(() => {
    const { present, size } = fetcher.figures;
    throw new RdpullError(
      'loop-not-attached',
      `${device.device} was detached before all of the image was there (${Math.floor((present * 100) / size)} %)`,
      'pull it again',
    );
  });
  gone.catch(() => undefined);
  const aborted = abortion(signal);
  try {
    return await Promise.race([pull.onDemand.fillRate === 0 ? aborted : fetcher.fill(), gone, aborted]);
  } catch (error) {
    signal.throwIfAborted();
    const failure = RdpullError.from(error);
    // What is there can be read on, but for what is known to be wrong.
    if (failure.code === 'checksum-mismatch' || failure.code === 'internal' || !device.isMounted())
      throw failure;
    observer.broken(failure);
    await pulse.until(() => !device.isMounted(), gone, signal);
    throw failure;
  }
}

/** Rejects when the signal is aborted. */
function abortion(signal: AbortSignal): Promise<never> {
  const rejected = new Promise<never>((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  rejected.catch(() => undefined);
  return rejected;
}

/** Checks the whole, and gives it its name. */
async function complete(
  sha256: string | undefined,
  { pull, demand, image, staging, room, survivor, observer }: Shown,
  options: SourceOptions,
): Promise<void> {
  const { promised } = demand;
  const { map, location, lastModified } = image;
  if (promised !== undefined) {
    if (sha256 === undefined) throw new Error('the digest of the image is not known');
    requirePromise(location.url, promised, { sha256, bytes: image.size ?? 0 });
  }
  survivor?.follow();
  const { target, force, sideFiles } = pull;
  const from = { url: location.url, server: location, lastModified };
  const publication = { target, force, sideFiles, readOnly: true };
  await publishImage(staging, publication, from, demand, options, observer.warn);
  room.settle({ bytes: map.size, entries: 1 });
}

/**
 * The device gets the plain file. Its partitions are away for a moment where nobody has one of them mounted: at boot, where systemd is
 * about to do that, it is waited for.
 *
 * @returns false when somebody has detached it instead
 */
async function handOver(
  file: FuseFile,
  attachment: Attachment,
  { pull, pulse, observer }: Shown,
  signal: AbortSignal,
): Promise<boolean> {
  const { device } = attachment;
  let told = '';
  const isReady = () => {
    const use = device.use();
    const waits = waitsFor(use, pull.unit !== undefined);
    if (waits === undefined) return true;
    if (told !== waits)
      observer.waiting(`${device.device} has all of the image, and is handed over when ${waits}`);
    told = waits;
    return false;
  };
  if (!(await pulse.until(isReady, file.ended, signal))) {
    attachment.isDone = true;
    observer.warn(`${device.device} was detached; ${printable(pull.target)} is complete`);
    return false;
  }
  await device.handOver(pull.target);
  attachment.isDone = true;
  await file.ended;
  return true;
}

/** What has to happen first; undefined: nothing. */
function waitsFor(use: DeviceUse, isMountedSoon: boolean): string | undefined {
  if (use.kind === 'none') return isMountedSoon ? 'it is mounted' : undefined;
  if (use.kind === 'whole' && !use.survives) return `it is unmounted (${use.what}, and no partition of it)`;
  return undefined;
}

/** The patience of whoever has to wait: with a server as long as that was asked for, until somebody reads; then for ever. */
class ReadersPatience implements Patience {
  readonly #usual: Patience | undefined;
  readonly #survivor: SwitchRootSurvivor | undefined;
  isEndless = false;

  constructor(usual: Patience | undefined, survivor: SwitchRootSurvivor | undefined) {
    this.#usual = usual;
    this.#survivor = survivor;
  }

  get milliseconds(): number {
    return this.isEndless ? Number.POSITIVE_INFINITY : (this.#usual?.milliseconds ?? 0);
  }

  readonly notify = (text: string, pause: number): void => {
    this.#survivor?.follow();
    this.#usual?.notify(text, pause);
  };
}
