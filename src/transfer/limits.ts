import { size as shownSize } from '../console/quantity.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { DEFAULT_TAR_LIMITS, TAR_LIMITS } from './sink/tar/tar-limits.ts';

interface LimitSpec {
  /** What holds when nobody says otherwise. */
  readonly default: number;
  /** What it may be raised to. */
  readonly largest: number;
  /** What is limited, as `--help` says it. */
  readonly what: string;
}

const KIB = 1024;
const GIB = KIB ** 3;
const TIB = KIB ** 4;
/** Nothing has as many bytes, and all numbers below it are exact. */
const BOUNDLESS = 4096 * TIB;

/**
 * Every limit of a transfer. The defaults are what no honest image reaches: they stop a server that never ends, and not
 * more, because what would fill RAM or a disk is stopped where there is no room for it.
 *
 * The ratio: images are mostly holes, and of nothing but zeros xz makes 6,900:1, zstd 32,000:1 and gzip 1,030:1. All
 * that costs nothing when it is written. What shrinks further is either bzip2 (850,000:1) or a trick.
 */
export const LIMITS = {
  download: { default: TIB, largest: BOUNDLESS, what: 'bytes as served' },
  size: { default: 16 * TIB, largest: BOUNDLESS, what: 'bytes after decompression' },
  ratio: {
    default: 50_000,
    largest: BOUNDLESS,
    what: 'how many times larger the latter is, beyond 1G',
  },
  entries: { ...TAR_LIMITS.entries, what: 'files and directories of a tarball' },
  path: { ...TAR_LIMITS.path, what: 'bytes of the path of one' },
  depth: { ...TAR_LIMITS.depth, what: 'names in that path' },
  xattr: { ...TAR_LIMITS.xattr, what: 'bytes of all its extended attributes' },
  file: { ...TAR_LIMITS.file, what: 'bytes of one file in it' },
  redirects: { default: 10, largest: 100, what: 'redirects in a row' },
} as const satisfies Record<string, LimitSpec>;

export type LimitName = keyof typeof LIMITS;

export function isLimitName(text: string): text is LimitName {
  return Object.hasOwn(LIMITS, text);
}

/** What one transfer may take at most: bytes and counts, each at least 1. */
export type Limits = { readonly [Name in LimitName]: number };

export const DEFAULT_LIMITS: Limits = {
  ...DEFAULT_TAR_LIMITS,
  download: LIMITS.download.default,
  size: LIMITS.size.default,
  ratio: LIMITS.ratio.default,
  redirects: LIMITS.redirects.default,
};

/** Below this many bytes after decompression no ratio is judged: a small image may well be all holes. */
const RATIO_FLOOR = GIB;

/** @throws RdpullError limit-exceeded when `bytes` as served are more than allowed */
export function requireDownload(bytes: number, { download }: Pick<Limits, 'download'>): void {
  if (bytes <= download) return;
  throw limitExceeded(
    'download',
    `the server sends ${exactly(bytes)} or more, and ${exactly(download)} are allowed`,
  );
}

/**
 * @param bytes what came out of decompression, or will come out of it
 * @param served what was put into it, as far as that is known
 * @throws RdpullError limit-exceeded
 */
export function requireSize(
  bytes: number,
  served: number | undefined,
  { size, ratio }: Pick<Limits, 'size' | 'ratio'>,
): void {
  if (bytes > size) {
    throw limitExceeded(
      'size',
      `the file is ${exactly(bytes)} or more after decompression, and ${exactly(size)} are allowed`,
    );
  }
  if (served === undefined || bytes <= RATIO_FLOOR || bytes <= served * ratio) return;
  throw limitExceeded(
    'ratio',
    `${exactly(served)} of the file become ${exactly(bytes)} or more, and ${ratio} times as much is allowed`,
  );
}

/** Bytes for a person, who must be able to tell a figure from the limit just below it. */
function exactly(bytes: number): string {
  return bytes < KIB ? shownSize(bytes) : `${shownSize(bytes)} (${bytes} bytes)`;
}

/** A file that is more than it may be. */
function limitExceeded(name: LimitName, message: string): RdpullError {
  return new RdpullError(
    'limit-exceeded',
    message,
    `find out what the server sends; if the file is meant to be like that, raise the limit with --limit=${name}=VALUE`,
  );
}
