import type { FileType } from '../request/image-class.ts';
import { imageNameDefect, stripImageSuffixes } from '../request/image-name.ts';
import { lastComponent } from '../request/url.ts';

/** `image_42`, and the architecture that may stand behind it (UAPI.10). A word that begins with a digit is a version. */
const VERSIONED = /^(?<name>.+)_(?<version>\d[A-Za-z0-9.~^-]*)(?:_[a-z0-9-]+)?$/;

/** Digits of a digest that tell it from others. */
const DIGEST_DIGITS = 12;

/** What is known of a file that a version can be made of. */
export interface VersionedFile {
  /** The URL, or the name alone. */
  readonly url: string;
  readonly type: FileType;
  readonly lastModified: Date | undefined;
  /** SHA-256 in hexadecimal digits. */
  readonly sha256: string;
}

/**
 * The version of an image: that in its name (`image_42.raw.xz`), which is what a checksum file vouches for; else the date of its last
 * change; else its digest, behind a number that is greater than those before it, for a digest tells nothing of what is newer.
 *
 * @param others the versions that there are, with another digest
 */
export function imageVersion(
  { url, type, lastModified, sha256 }: VersionedFile,
  others: readonly string[],
): string {
  const digest = sha256.slice(0, DIGEST_DIGITS);
  const version = versionInName(url, type) ?? (lastModified === undefined ? undefined : stamp(lastModified));
  if (version === undefined) {
    const numbers = others.map((other) => Number(/^(\d{1,9})\.[0-9a-f]{12}$/.exec(other)?.[1] ?? 0));
    return `${Math.max(0, ...numbers) + 1}.${digest}`;
  }
  // Of the same version, and of other bytes: the later one is the newer one.
  let distinct = version;
  for (let again = 1; others.includes(distinct); again++) distinct = `${version}-${again}`;
  return distinct;
}

/** The name that all versions of an image have in common: `image` of `image_42.raw.xz`. */
export function nameWithoutVersion(name: string): string {
  const common = VERSIONED.exec(name)?.groups?.['name'];
  return common === undefined || imageNameDefect(common) !== undefined ? name : common;
}

function versionInName(url: string, type: FileType): string | undefined {
  const stem = stripImageSuffixes(lastComponent(url) ?? '', type);
  return VERSIONED.exec(stem)?.groups?.['version'];
}

/** `20261129T101112`, in UTC. */
function stamp(date: Date): string {
  return date
    .toISOString()
    .replace(/\.\d+Z$/, '')
    .replaceAll(/[-:]/g, '');
}
