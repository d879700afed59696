import { printable } from '../console/printable.ts';
import { promisedDigest } from '../disk-cache/about-image.ts';
import { type CachedFamily, readCache } from '../disk-cache/cache-contents.ts';
import { type CachedImage, imageTitle, isGood, isWornOut, seedsAmong } from '../disk-cache/cached-image.ts';
import { openDiskCache } from '../disk-cache/disk-cache.ts';
import { CACHE_MOUNT, type PlannedPull } from '../generator/planned-pull.ts';
import { reasonWithoutPath } from '../kernel/system-error.ts';
import { cacheDefect } from '../request/cache.ts';
import type { Promised } from '../transfer/promise.ts';
import type { Findings } from './finding.ts';

/** What the cache of the machine that boots is asked about. */
export interface CacheQuestion {
  readonly pull: PlannedPull;
  /** Where the cache is on this machine; undefined where nobody has said so. */
  readonly directory: string | undefined;
  readonly promised: Promised | undefined;
  readonly isChunked: boolean;
}

/** Says what a boot would find in the cache. Nothing is changed, and no image is read. */
export function checkCache(
  findings: Findings,
  { pull, directory, promised, isChunked }: CacheQuestion,
): void {
  if (pull.cache === undefined && directory === undefined) return;
  if (cacheDefect(pull.request) !== undefined) return;
  const cache = openDiskCache(directory ?? CACHE_MOUNT);
  if ('defect' in cache) {
    if (directory !== undefined)
      findings.warn('cache', `${printable(directory)} ${cache.defect}: the boot would go without a cache`);
    else
      findings.ok(
        'cache',
        `${printable(pull.cache?.device ?? '')}: what a boot would reuse is known where it is mounted (--cache=DIR)`,
      );
    return;
  }
  try {
    sayContents(findings, readCache(cache), promised, isChunked);
  } catch (error) {
    findings.warn('cache', `${printable(cache.root)} cannot be read: ${reasonWithoutPath(error)}`);
  }
}

function sayContents(
  findings: Findings,
  families: readonly CachedFamily[],
  promised: Promised | undefined,
  isChunked: boolean,
): void {
  if (promised === undefined) {
    findings.ok('cache', 'with verify=no the boot asks the server whether it still has what was kept');
    return;
  }
  const family = families.find(({ images }) => images.some((image) => isWanted(image, promised)));
  const image = family?.images.find((each) => isWanted(each, promised));
  if (family === undefined || image === undefined) {
    const seeds = families.flatMap(({ images }) => seedsAmong(images));
    findings.ok(
      'cache',
      isChunked && seeds.length > 0
        ? `chunks that are in ${seeds.map(title).join(', ')} would not be fetched`
        : 'the image is not in there: all of it would be fetched, and kept',
    );
    return;
  }
  const other = family.images.find((each) => each !== image && isGood(each));
  if (isWornOut(image) && other !== undefined)
    findings.warn('cache', `${title(image)} has no tries left: ${title(other)} would be booted in its place`);
  else findings.ok('cache', `${title(image)} is what is wanted: nothing of it would be fetched`);
}

const isWanted = ({ about }: CachedImage, { digest }: Promised) => promisedDigest(about) === digest;
const title = (image: CachedImage) => printable(imageTitle(image));
