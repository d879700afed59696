import fs from 'node:fs';
import path from 'node:path';
import { IMAGE_CLASSES, imageDirectory } from '../request/image-class.ts';
import { type CachedImage, isGood, readImages } from './cached-image.ts';
import type { DiskCache } from './disk-cache.ts';
import { familyOfPath, familyPath, type ImageFamily } from './version-directory.ts';

/** The directory of each class in a cache, which is called as the one below /run. */
const CLASS_DIRECTORIES: readonly string[] = IMAGE_CLASSES.map((each) =>
  path.basename(imageDirectory(each, true)),
);

/** All versions of an image, the newest first. */
export interface CachedFamily {
  readonly family: ImageFamily;
  readonly images: readonly CachedImage[];
}

/**
 * What is in a cache, without a lock: it may be otherwise in a moment.
 *
 * @throws Error of node:fs
 */
export function readCache({ root }: DiskCache): CachedFamily[] {
  return CLASS_DIRECTORIES.flatMap((directory) => {
    const place = path.join(root, directory);
    if (!fs.existsSync(place)) return [];
    return fs
      .readdirSync(place)
      .sort()
      .flatMap((name) => {
        const family = familyOfPath(directory, name);
        const at = path.join(place, name);
        if (family === undefined || !fs.lstatSync(at).isDirectory()) return [];
        return [{ family, images: readImages(path.join(root, familyPath(family)), family.stem) }];
      });
  });
}

/** Whether an image is the last one of its family that has come up. */
export function isLastGood(image: CachedImage, { images }: CachedFamily): boolean {
  return image === images.find(isGood);
}
