import type { Compression } from '../decode/compression-magic.ts';
import type { FileType } from '../request/image-class.ts';

/** How often an image may still be tried, and how often it was: `+2-1` (UAPI.10, "Boot Counting"). */
export interface Tries {
  readonly left: number;
  readonly done: number;
}

/** What the name of a cached file says: `NAME_VERSION+LEFT-DONE.raw.xz`. */
export interface CachedName {
  readonly version: string;
  /** undefined: it has come up, and is good. */
  readonly tries: Tries | undefined;
  /** `.raw`, or what is before it packed by: `.raw.xz`, `.tar.zst`. */
  readonly suffix: string;
}

/** Beside an image, in a directory of this suffix: what is known of it. */
export const FILES_SUFFIX = '.files';

/** As they are usually called, so that people know what is in there. */
const PACKED: Readonly<Record<Compression, string>> = {
  none: '',
  xz: '.xz',
  zstd: '.zst',
  gzip: '.gz',
  bzip2: '.bz2',
};

/** Of a file that is kept as it was served. */
export function cachedSuffix(type: FileType, compression: Compression): string {
  return `.${type}${PACKED[compression]}`;
}

/** The name without what changes at each boot. */
export function plainName(stem: string, version: string): string {
  return `${stem}_${version}`;
}

export function formatCachedName(stem: string, { version, tries, suffix }: CachedName): string {
  const counter = tries === undefined ? '' : `+${tries.left}-${tries.done}`;
  return `${plainName(stem, version)}${counter}${suffix}`;
}

/** What a name says; undefined for one that is no image of `stem`. */
export function parseCachedName(stem: string, file: string): CachedName | undefined {
  if (!file.startsWith(`${stem}_`)) return undefined;
  const name =
    /^(?<version>[A-Za-z0-9.~^-]+?)(?:\+(?<left>\d{1,3})(?:-(?<done>\d{1,3}))?)?(?<suffix>\.(?:raw|tar)(?:\.(?:xz|zst|gz|bz2))?)$/.exec(
      file.slice(stem.length + 1),
    )?.groups;
  if (name === undefined) return undefined;
  const { version = '', left, done = '0', suffix = '' } = name;
  return {
    version,
    tries: left === undefined ? undefined : { left: Number(left), done: Number(done) },
    suffix,
  };
}
