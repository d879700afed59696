import fs from 'node:fs';
import path from 'node:path';
import { compareVersions } from '../request/version-order.ts';
import { ABOUT_MAX, type AboutImage, parseAbout } from './about-image.ts';
import { type CachedName, FILES_SUFFIX, parseCachedName, plainName } from './cached-name.ts';

/** What an image is described by, and what keeps it from being removed, in the directory beside it. */
export const ABOUT_FILE = 'about.json';
export const PIN_FILE = 'pinned';

/** An image that is there, and what is written beside it. */
export interface CachedImage extends CachedName {
  /** `machines/root.raw.v/root_42`, below the cache: stays as it is while tries are counted. */
  readonly id: string;
  readonly path: string;
  /** The directory beside it. */
  readonly files: string;
  readonly about: AboutImage;
  /** Bytes that it takes on the disk. */
  readonly occupied: number;
  readonly isPinned: boolean;
}

/**
 * The images in a `.v` directory, the newest first. What does not look like one that rdpull has stored is passed over: others may have
 * put it there, and nobody knows what it is. Links are not followed.
 *
 * @throws Error of node:fs
 */
export function readImages(directory: string, stem: string): CachedImage[] {
  const images = fs.readdirSync(directory).flatMap((file) => {
    const name = parseCachedName(stem, file);
    const image = name === undefined ? undefined : readImage(directory, stem, file, name);
    return image === undefined ? [] : [image];
  });
  return images.sort((one, other) => compareVersions(other.version, one.version));
}

function readImage(directory: string, stem: string, file: string, name: CachedName): CachedImage | undefined {
  const image = path.join(directory, file);
  const plain = plainName(stem, name.version);
  const files = path.join(directory, `${plain}${FILES_SUFFIX}`);
  const stat = fs.lstatSync(image, { throwIfNoEntry: false });
  const about = readAbout(path.join(files, ABOUT_FILE));
  if (stat?.isFile() !== true || about === undefined) return undefined;
  return {
    ...name,
    id: path.join(path.basename(path.dirname(directory)), path.basename(directory), plain),
    path: image,
    files,
    about,
    occupied: stat.blocks * 512,
    isPinned: fs.existsSync(path.join(files, PIN_FILE)),
  };
}

function readAbout(file: string): AboutImage | undefined {
  const stat = fs.lstatSync(file, { throwIfNoEntry: false });
  if (stat?.isFile() !== true || stat.size > ABOUT_MAX) return undefined;
  return parseAbout(fs.readFileSync(file, 'utf8'));
}

export const isGood = ({ tries }: CachedImage): boolean => tries === undefined;
export const isWornOut = ({ tries }: CachedImage): boolean => tries?.left === 0;

/** What to boot when the server does not decide it: what has come up before, then what may still be tried, then the rest; each newest first. */
export function byTrust(images: readonly CachedImage[]): readonly CachedImage[] {
  return [
    ...images.filter(isGood),
    ...images.filter((image) => !isGood(image) && !isWornOut(image)),
    ...images.filter(isWornOut),
  ];
}

/** How many images at most are read from beginning to end for what they may have in common with another one. */
const READ_MOST = 3;

/**
 * Those of the images of one name that one in chunks probably has something in common with: all that came in chunks themselves, and those newer than
 * them that did not, which have to be read from beginning to end to find out. Those that are older are not read again for each new image.
 *
 * @param images the newest first
 */
export function seedsAmong(images: readonly CachedImage[]): readonly CachedImage[] {
  const known = images.findIndex(({ about }) => about.index !== undefined);
  const unknown = images.slice(0, known < 0 ? images.length : known);
  return [...unknown.slice(0, READ_MOST), ...images.filter(({ about }) => about.index !== undefined)];
}

/** How a message calls an image. */
export const imageTitle = ({ id }: CachedImage): string => path.basename(id);
