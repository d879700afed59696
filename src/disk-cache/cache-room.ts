import fs from 'node:fs';
import { size as shownSize } from '../console/quantity.ts';
import { type CachedFamily, isLastGood, readCache } from './cache-contents.ts';
import type { CachedImage } from './cached-image.ts';
import type { DiskCache } from './disk-cache.ts';
import { familyPath, type ImageFamily, VersionDirectory } from './version-directory.ts';

/** How much a cache may hold, and what of it has to stay. */
export interface CacheBounds {
  /** `cache-size=`, in bytes; Infinity: as much as its file system. */
  readonly limit: number;
  /** What this machine runs, by {@link CachedImage.id}; the last good image of each name stays in any case, and what is pinned. */
  readonly running: ReadonlySet<string>;
}

/** Room that is wanted, in bytes. */
export interface RoomWanted {
  /** For an image. */
  readonly need: number;
  /** On the file system, beside that: for names, and for what lies beside an image. */
  readonly reserve: number;
}

/** What was done for it. */
export interface RoomMade {
  readonly removed: readonly CachedImage[];
  /** Why there is no room, as the end of a sentence that starts with the cache. */
  readonly defect?: string;
}

/** An image that may go, and where it is. */
interface Removable {
  readonly image: CachedImage;
  readonly family: ImageFamily;
}

/**
 * Removes images, those that were stored first, until there is room; for an image that would not fit if all of them were gone,
 * none.
 *
 * @param open the directory that this process has open already, and locked
 * @throws Error of node:fs
 */
export function makeRoom(
  cache: DiskCache,
  { need, reserve }: RoomWanted,
  bounds: CacheBounds,
  open: VersionDirectory | undefined,
): RoomMade {
  const families = readCache(cache);
  const removable = removableImages(families, bounds);
  const held = sum(families.flatMap(({ images }) => images));
  const kept = held - sum(removable.map(({ image }) => image));
  const free = freeBytes(cache);
  const lacking = Math.max(held + need - bounds.limit, need + reserve - free);
  const isTooMuch = lacking > held - kept;
  const why = noRoom(need, held, kept, bounds.limit, free);
  if (isTooMuch && need > 0) return { removed: [], defect: why };
  const removed: CachedImage[] = [];
  for (const { image, family } of removable) {
    if (sum(removed) >= lacking) break;
    if (removeImage(cache, image, family, open)) removed.push(image);
  }
  if (sum(removed) >= lacking) return { removed };
  return {
    removed,
    defect: isTooMuch ? why : 'has no room: another rdpull is at work with what could be removed',
  };
}

function noRoom(need: number, held: number, kept: number, limit: number, free: number): string {
  const bound =
    held + need > limit
      ? `it may hold ${shownSize(limit)}`
      : `${shownSize(free)} of its file system are free`;
  return `has no room for ${shownSize(need)}: ${bound}, and ${shownSize(kept)} of the ${shownSize(held)} in it have to stay`;
}

function removableImages(families: readonly CachedFamily[], { running }: CacheBounds): Removable[] {
  return families
    .flatMap((each) =>
      each.images
        .filter((image) => !image.isPinned && !running.has(image.id) && !isLastGood(image, each))
        .map((image) => ({ image, family: each.family })),
    )
    .sort((one, other) => Date.parse(one.image.about.stored) - Date.parse(other.image.about.stored));
}

/** @returns false when somebody is at work there */
function removeImage(
  cache: DiskCache,
  image: CachedImage,
  family: ImageFamily,
  open: VersionDirectory | undefined,
): boolean {
  if (open !== undefined && familyPath(open.family) === familyPath(family)) {
    open.remove(image);
    return true;
  }
  const directory = VersionDirectory.open(cache, family);
  if (directory === 'busy' || directory === undefined) return false;
  using locked = directory;
  locked.remove(image);
  return true;
}

function freeBytes({ root }: DiskCache): number {
  const { bsize, bavail } = fs.statfsSync(root);
  return bavail * bsize;
}

function sum(images: readonly CachedImage[]): number {
  return images.reduce((bytes, { occupied }) => bytes + occupied, 0);
}
