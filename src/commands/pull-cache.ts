import path from 'node:path';
import { DEFAULT_STORE } from '../chunks/chunk-stores.ts';
import { printable } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import type { Reporter } from '../console/reporter.ts';
import { promisedDigest } from '../disk-cache/about-image.ts';
import { removeBlessingUnit, writeBlessingUnit } from '../disk-cache/blessing-unit.ts';
import { CacheCopies, WornOutImage } from '../disk-cache/cache-copies.ts';
import { byTrust, type CachedImage, imageTitle, isGood } from '../disk-cache/cached-image.ts';
import { type DiskCache, openDiskCache } from '../disk-cache/disk-cache.ts';
import { nameWithoutVersion } from '../disk-cache/image-version.ts';
import { type ImageFamily, VersionDirectory } from '../disk-cache/version-directory.ts';
import { CACHE_MOUNT, CACHE_MOUNT_UNIT, UNNAMED } from '../generator/planned-pull.ts';
import { reasonWithoutPath } from '../kernel/system-error.ts';
import type { ChunkedKeeper } from '../on-demand/chunked-download.ts';
import type { ImageKeeper } from '../on-demand/image-keeper.ts';
import { runningImages } from '../record/running-images.ts';
import type { RecordedCache } from '../record/transfer-record.ts';
import { imageDirectory, isTree } from '../request/image-class.ts';
import { imageNameDefect, stripImageSuffixes } from '../request/image-name.ts';
import { inInitrd } from '../request/initrd.ts';
import type { PullRequest } from '../request/pull-request.ts';
import { lastComponent } from '../request/url.ts';
import type { Location } from '../source/source.ts';
import type { TransferResult } from '../transfer/transfer.ts';
import type { CachePlan } from './cache-arguments.ts';
import type { PullPlan } from './pull-plan.ts';
import { readBootOrigin } from './pull-url.ts';

/** How long a server is waited for, in ms, where there is an image that has come up before. */
const PATIENCE_WITH_GOOD_IMAGE = 60_000;

/** The images of one name in the cache of a pull, locked for it. */
export interface PullCache extends Disposable {
  readonly copies: CacheCopies;
  /** For images in chunks. */
  readonly keeper: ChunkedKeeper;
  /** For images that are read on demand. */
  readonly onDemand: ImageKeeper;
  /** The image of the server is in use: whatever fails now, no other one can take its place. */
  isShown: boolean;
  /** Why an image of the cache is used in place of what the server has; undefined: it is not. */
  why: string | undefined;
}

/** An image in the cache, as a transfer takes it: what vouches for it lies beside it, under the names that it has on the server. */
export interface CachedLocation {
  readonly image: CachedImage;
  readonly location: Location;
  /** Of an image in chunks, all of which it has itself. */
  readonly stores: readonly Location[];
}

/**
 * Opens the cache of a pull. What cannot be used costs a line, and nothing else.
 *
 * @throws RdpullError bad-url, as {@link readBootOrigin}
 */
export async function openPullCache(plan: PullPlan, reporter: Reporter): Promise<PullCache | undefined> {
  const { cache: wanted, request } = plan;
  if (wanted === undefined) return undefined;
  const unused = (why: string) => {
    reporter.warn(`the cache ${printable(wanted.directory)} ${why}; the image is pulled without it`);
    return undefined;
  };
  const cache = openDiskCache(wanted.directory);
  if ('defect' in cache) return unused(`${cache.defect}${mountRemedy(wanted.directory)}`);
  const family = await familyOf(request, reporter.detail);
  if (family === undefined) return unused('is not used: the image has no name to be kept under');
  if (!cache.isWritable)
    reporter.warn(
      `the cache ${printable(cache.root)} is read-only: images that worked are used, and none is kept`,
    );
  try {
    const directory = VersionDirectory.open(cache, family);
    if (directory === 'busy')
      return unused(
        `is not used: another rdpull, or another machine, is at work in ${printable(path.basename(family.stem))}`,
      );
    return directory === undefined ? undefined : pullCache(cache, directory, wanted, reporter);
  } catch (error) {
    return unused(`cannot be used: ${reasonWithoutPath(error)}`);
  }
}

/** Of the disk that systemd should have mounted, it knows more: that there is none, or what is on it in place of a file system. */
function mountRemedy(directory: string): string {
  return directory === CACHE_MOUNT ? ` (systemctl status ${CACHE_MOUNT_UNIT} says why)` : '';
}

function pullCache(
  cache: DiskCache,
  directory: VersionDirectory,
  { limit, tries }: CachePlan,
  reporter: Reporter,
): PullCache {
  const { warn, info } = reporter;
  const use = {
    ...{ limit, tries, warn },
    running: runningImages(),
    counts: inInitrd(),
    tell: (text: string) => info(text),
  };
  const copies = new CacheCopies(cache, directory, use);
  const begin = (sha256: string) => copies.beginChunked(sha256);
  const keeper: ChunkedKeeper = { begin, complete: (image) => copies.keepChunked(image, true) };
  const onDemand: ImageKeeper = {
    begin,
    shown() {
      opened.isShown = true;
      awaitBlessing(opened, reporter);
    },
    complete: (image) => copies.keepChunked(image, false),
    has: async (promised, describe) => (await copies.find(promised, describe)) !== undefined,
    completeFile: (path, fetched) => copies.keepFile(path, fetched),
    beginParts: (size) => copies.beginParts(size),
  };
  const opened: PullCache = {
    ...{ copies, keeper, onDemand, why: undefined, isShown: false },
    [Symbol.dispose]: () => directory[Symbol.dispose](),
  };
  return opened;
}

/** What all versions of the image have in common. */
async function familyOf(
  { remote, type, imageClass, local }: PullRequest,
  detail: (text: string) => void,
): Promise<ImageFamily | undefined> {
  const served = await servedStem(remote, type, detail);
  const isUnnamed = remote.kind === 'bootorigin' && remote.name === undefined;
  const isGiven = local !== undefined && local !== served && !(isUnnamed && local === UNNAMED.firmware);
  const stem = isGiven ? local : nameWithoutVersion(served);
  if (imageNameDefect(stem) !== undefined) return undefined;
  return {
    directory: path.basename(imageDirectory(imageClass, true)),
    stem,
    type: isTree(type) ? 'tar' : 'raw',
  };
}

/** What the file is called on the server, without suffixes: known before any server is asked. */
async function servedStem(
  remote: PullRequest['remote'],
  type: PullRequest['type'],
  detail: (text: string) => void,
): Promise<string> {
  if (remote.kind === 'registry' || remote.kind === 'nvme') return '';
  if (remote.kind === 'bootorigin' && remote.name === undefined) {
    // What a lease says is not known when there is no network.
    if (remote.dhcp !== undefined) return UNNAMED[remote.dhcp === 'only' ? 'dhcp' : 'firmware'];
    const boot = (await readBootOrigin(detail))?.url;
    return (boot === undefined ? '' : (lastComponent(boot) ?? '')).replace(/\.efi$/i, '');
  }
  const url = remote.kind === 'url' ? remote.url : `http://host/${remote.name}`;
  return stripImageSuffixes(lastComponent(url) ?? '', type);
}

/** How long a pull goes on when no server brings anything new, in ms. */
export function patienceWith(cache: PullCache | undefined, { patience, isPatienceGiven }: PullPlan): number {
  if (isPatienceGiven || cache?.copies.images().some(isGood) !== true) return patience;
  return Math.min(patience, PATIENCE_WITH_GOOD_IMAGE);
}

/** What is known of a pull that a cached image may stand in for. */
interface ReplaceablePull {
  readonly plan: PullPlan;
  readonly access: { readonly signal: AbortSignal };
  readonly display: { readonly reporter: Reporter };
  readonly cache: PullCache | undefined;
}

/**
 * Does what fetches the image of a server; when that fails, what takes one that is in the cache, one after the other, until one holds.
 *
 * @param cached uses an image of the cache, and no server
 * @throws what `fetch` throws, when nothing in the cache holds either
 */
export async function orFromCache<T>(
  {
    cache,
    plan: {
      request: { verify },
    },
    access: { signal },
    display: { reporter },
  }: ReplaceablePull,
  fetch: () => Promise<T>,
  cached: (image: CachedLocation) => Promise<T>,
): Promise<T> {
  if (cache === undefined) return await fetch();
  let failure: unknown;
  try {
    return await fetch();
  } catch (error) {
    signal.throwIfAborted();
    if (cache.isShown || !givesWay(error)) throw error;
    failure = error;
  }
  const { message } = failure instanceof WornOutImage ? failure : RdpullError.from(failure);
  const images = byTrust(cache.copies.images()).filter(
    ({ about }) => verify.kind !== 'sha256' || promisedDigest(about) === verify.digest,
  );
  for (const image of images) {
    cache.why = message;
    reporter.warn(`${message}; ${standIn(image)} is used in its place`, {
      event: 'image-substituted',
      cachedImage: printable(image.path),
    });
    cache.copies.insistOn(image);
    try {
      return await cached(locationOf(image));
    } catch (error) {
      signal.throwIfAborted();
      if (!givesWay(error)) throw error;
      const { message: why } = RdpullError.from(error);
      reporter.warn(`${printable(imageTitle(image))} of the cache cannot be used either: ${why}`);
      if (failure instanceof WornOutImage) failure = error;
    }
  }
  throw failure;
}

/** Whether something failed that another image may do without: the server, the way to it, its file, or the room for that. */
function givesWay(error: unknown): boolean {
  if (error instanceof WornOutImage) return true;
  if (!(error instanceof RdpullError)) return false;
  const { family } = error;
  return (
    family === 'network' ||
    family === 'http' ||
    family === 'decode' ||
    family === 'verify' ||
    ['no-room', 'disk-full', 'file-not-found', 'file-unreadable'].includes(error.code)
  );
}

function standIn(image: CachedImage): string {
  const title = printable(imageTitle(image));
  if (isGood(image)) return `${title} of the cache, which worked,`;
  return `${title} of the cache, which was never seen to work,`;
}

function locationOf(image: CachedImage): CachedLocation {
  const { files, about } = image;
  const beside = (name: string): Location => ({
    url: `${Bun.pathToFileURL(files).href}/${name}`,
    login: undefined,
  });
  const stores = about.index === undefined ? [] : [beside(DEFAULT_STORE)];
  return { image, location: beside(about.name), stores };
}

/** What of a pull came from where, for the record and for `--json`. */
export function cacheFigures(
  { copies: { used }, why }: PullCache,
  { copy, received, reused = [] }: Pick<TransferResult, 'copy' | 'received' | 'reused'>,
): RecordedCache {
  const inChunks = reused.reduce((sum, { bytes }) => sum + bytes, 0);
  return {
    fetched: copy === undefined ? received : 0,
    reused: copy === undefined ? inChunks : received,
    ...(used !== undefined && { image: used.path, id: used.id }),
    ...(used?.tries !== undefined && { triesLeft: used.tries.left }),
    ...(why !== undefined && { why }),
  };
}

/** An image that was counted is blessed by the system that comes up with it. */
export function awaitBlessing({ copies: { used } }: PullCache, { warn }: Reporter): void {
  if (used === undefined || !inInitrd()) return;
  try {
    if (isGood(used)) removeBlessingUnit(used);
    else writeBlessingUnit(used);
  } catch (error) {
    warn(
      `nobody will say that ${printable(imageTitle(used))} has come up: ${RdpullError.from(error).message}`,
    );
  }
}
