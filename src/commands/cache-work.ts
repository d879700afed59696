import path from 'node:path';
import { printable, quoted } from '../console/printable.ts';
import { size } from '../console/quantity.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { type CachedFamily, isLastGood, readCache } from '../disk-cache/cache-contents.ts';
import { makeRoom } from '../disk-cache/cache-room.ts';
import { type CachedImage, imageTitle, isGood } from '../disk-cache/cached-image.ts';
import { type DiskCache, openDiskCache } from '../disk-cache/disk-cache.ts';
import { type ImageFamily, VersionDirectory } from '../disk-cache/version-directory.ts';
import { runningImages } from '../record/running-images.ts';
import { openFileSource } from '../source/file.ts';
import type { CommandContext } from './command.ts';
import type { CachedImageJson, CacheListJson, CachePrunedJson, CacheVerifiedJson } from './json-results.ts';

export type CacheAction = 'list' | 'verify' | 'prune' | 'pin' | 'unpin';

/** What `rdpull cache` was asked for. */
export interface CacheWork {
  readonly action: CacheAction;
  readonly directory: string;
  /** Of an image, or of all its versions; empty: all there are. */
  readonly name: string;
  /** How much the cache may hold when it was pruned, in bytes. */
  readonly limit: number;
}

/** An image, and what it belongs to. */
interface Entry {
  readonly family: CachedFamily;
  readonly image: CachedImage;
}

/**
 * @throws RdpullError file-unreadable, file-not-found, target-busy, target-unwritable, checksum-mismatch; Error of node:fs
 */
export async function workOnCache(work: CacheWork, context: CommandContext): Promise<void> {
  const { action, directory } = work;
  const root = path.resolve(directory);
  const cache = openDiskCache(root);
  if ('defect' in cache) {
    throw new RdpullError(
      cache.defect === 'is not there' ? 'file-not-found' : 'file-unreadable',
      `the cache ${printable(root)} ${cache.defect}`,
      'name its directory with --cache=DIR; at boot it is what rd.rdpull.cache= names',
    );
  }
  switch (action) {
    case 'list':
      return list(cache, named(cache, work), context);
    case 'verify':
      return await verify(named(cache, work), context);
    case 'prune':
      requireWritable(cache);
      return prune(cache, work, context);
    case 'pin':
    case 'unpin':
      requireWritable(cache);
      return pin(cache, named(cache, work), action === 'pin', context);
  }
}

/** @throws RdpullError file-not-found */
function named(cache: DiskCache, { name }: CacheWork): readonly Entry[] {
  const all = readCache(cache).flatMap((family) => family.images.map((image) => ({ family, image })));
  if (name === '') return all;
  const found = all.filter(
    ({ family, image }) =>
      imageTitle(image) === name || family.family.stem === name || path.basename(image.path) === name,
  );
  if (found.length > 0) return found;
  throw new RdpullError(
    'file-not-found',
    `there is no image ${quoted(name)} in the cache ${printable(cache.root)}`,
    'rdpull cache list shows what there is',
  );
}

/** @throws RdpullError target-unwritable */
function requireWritable({ root, isWritable }: DiskCache): void {
  if (isWritable) return;
  throw new RdpullError(
    'target-unwritable',
    `the cache ${printable(root)} cannot be written to`,
    'run it as root; if the file system became read-only by itself, dmesg says why',
  );
}

function list(cache: DiskCache, entries: readonly Entry[], { reporter }: CommandContext): void {
  const running = runningImages();
  const images = entries.map((entry) => imageJson(entry, running));
  if (entries.length === 0) reporter.info(`there is no image in ${printable(cache.root)}`);
  const lines = entries.map(({ image }, index) => imageLine(image, images[index]?.running === true));
  reporter.result(lines, { cache: cache.root, images } satisfies CacheListJson);
}

function imageLine(image: CachedImage, isRunning: boolean): string {
  const marks = [...(isRunning ? ['runs'] : []), ...(image.isPinned ? ['pinned'] : [])];
  return [
    printable(imageTitle(image)),
    [stateOf(image), ...marks].join(', '),
    size(image.about.size),
    `stored ${image.about.stored.slice(0, 19).replace('T', ' ')} UTC`,
    printable(image.about.url),
  ].join('  ');
}

function stateOf({ tries }: CachedImage): string {
  if (tries === undefined) return 'good';
  if (tries.left === 0) return 'never came up';
  return tries.left === 1 ? '1 try left' : `${tries.left} tries left`;
}

function imageJson({ image, family }: Entry, running: ReadonlySet<string>): CachedImageJson {
  const { about, tries, version, path: file, isPinned, id } = image;
  return {
    name: family.family.stem,
    version,
    file,
    good: isGood(image),
    lastGood: isLastGood(image, family),
    ...(tries !== undefined && { triesLeft: tries.left, triesDone: tries.done }),
    pinned: isPinned,
    running: running.has(id),
    size: about.size,
    sha256: about.sha256,
    url: about.url,
    stored: about.stored,
  };
}

async function verify(
  entries: readonly Entry[],
  { reporter, signal, exitLike }: CommandContext,
): Promise<void> {
  const verified: { readonly file: string; readonly good: boolean }[] = [];
  const lines: string[] = [];
  for (const { image } of entries) {
    const defect = await defectOf(image, signal);
    verified.push({ file: image.path, good: defect === undefined });
    lines.push(`${printable(imageTitle(image))}  ${defect?.message ?? 'is what was stored'}`);
    if (defect !== undefined) exitLike(defect);
  }
  reporter.result(lines, { images: verified } satisfies CacheVerifiedJson);
}

/** Why an image is not what was stored; undefined when it is. */
async function defectOf(
  { path: file, about }: CachedImage,
  signal: AbortSignal,
): Promise<RdpullError | undefined> {
  const digest = new Bun.CryptoHasher('sha256');
  try {
    const source = openFileSource(Bun.pathToFileURL(file).href);
    try {
      for await (const chunk of source.body) {
        signal.throwIfAborted();
        digest.update(chunk);
      }
    } finally {
      source.close();
    }
  } catch (error) {
    signal.throwIfAborted();
    return RdpullError.from(error);
  }
  const actual = digest.digest('hex');
  if (actual === about.sha256) return undefined;
  return new RdpullError(
    'checksum-mismatch',
    `is damaged: it has the SHA-256 ${actual}, and had ${about.sha256} when it was stored`,
    'the next boot fetches it anew, when a server has it',
  );
}

function prune(cache: DiskCache, { limit }: CacheWork, { reporter }: CommandContext): void {
  const gone = makeRoom(cache, { need: 0, reserve: 0 }, { limit, running: runningImages() }, undefined);
  const removed = gone.removed.map(imageTitle);
  const lines = removed.map((title) => `${printable(title)}  removed`);
  if (removed.length === 0) reporter.info('there is nothing to remove');
  if (limit > 0 && gone.defect !== undefined)
    reporter.warn(`the cache ${printable(cache.root)} ${gone.defect}`);
  reporter.result(lines, { removed } satisfies CachePrunedJson);
}

function pin(
  cache: DiskCache,
  entries: readonly Entry[],
  isPinned: boolean,
  { reporter }: CommandContext,
): void {
  const changed = entries.map(({ family, image }) => {
    using directory = opened(cache, family.family);
    directory.pin(image, isPinned);
    return { family, image: { ...image, isPinned } };
  });
  const running = runningImages();
  reporter.result(
    changed.map(
      ({ image }) => `${printable(imageTitle(image))}  ${isPinned ? 'pinned' : 'not pinned any more'}`,
    ),
    { cache: cache.root, images: changed.map((entry) => imageJson(entry, running)) } satisfies CacheListJson,
  );
}

/** @throws RdpullError target-busy */
function opened(cache: DiskCache, family: ImageFamily): VersionDirectory {
  const directory = VersionDirectory.open(cache, family);
  if (directory !== undefined && directory !== 'busy') return directory;
  throw new RdpullError(
    'target-busy',
    `another rdpull is at work with ${quoted(family.stem)} in the cache ${printable(cache.root)}`,
    'wait for it',
  );
}
