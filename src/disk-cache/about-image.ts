import { imageNameDefect } from '../request/image-name.ts';
import { plainName } from '../verify/manifest.ts';

/** What is written down beside a cached image. Nothing in it is trusted: it says what to look at, and never what is good. */
export interface AboutImage {
  /** Where it came from, without secrets. */
  readonly url: string;
  /** The last component of that URL, which is what checksum files list. */
  readonly name: string;
  /** SHA-256 of the file, in lower-case hexadecimal digits. */
  readonly sha256: string;
  /** How long the file is, in bytes. */
  readonly size: number;
  /** SHA-256 of its index, for an image in chunks: what was promised is the index, and {@link name} is that of it. */
  readonly index?: string;
  /** What the server has told these bytes by (`If-Range`). */
  readonly validator?: string;
  /** When it was stored, by the clock of this machine: ISO 8601. */
  readonly stored: string;
}

/** Bytes: what is longer was not written by rdpull. */
export const ABOUT_MAX = 16 * 1024;

/** undefined when it does not say what it should. */
export function parseAbout(text: string): AboutImage | undefined {
  let fields: unknown;
  try {
    fields = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof fields !== 'object' || fields === null) return undefined;
  const read = (name: string): unknown => Reflect.get(fields, name);
  const [url, name, sha256, size, stored, validator, index] = [
    read('url'),
    read('name'),
    read('sha256'),
    read('size'),
    read('stored'),
    read('validator'),
    read('index'),
  ];
  if (typeof url !== 'string' || typeof name !== 'string' || typeof stored !== 'string') return undefined;
  // It becomes a part of a path, and of a URL.
  const isName = !/[/?#\\]/.test(name) && imageNameDefect(plainName(name)) === undefined;
  if (!isName || Number.isNaN(Date.parse(stored))) return undefined;
  if (!isDigest(sha256) || (index !== undefined && !isDigest(index))) return undefined;
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) return undefined;
  return {
    ...{ url, name, sha256, size, stored },
    ...(typeof validator === 'string' && { validator }),
    ...(index !== undefined && { index }),
  };
}

function isDigest(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
}

/** What has to be promised for it: the digest of the file as served, or of its index. */
export const promisedDigest = ({ index, sha256 }: AboutImage): string => index ?? sha256;

export function formatAbout(about: AboutImage): string {
  return `${JSON.stringify(about, undefined, 2)}\n`;
}
