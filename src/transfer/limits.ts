import { size as shownSize } from '../console/quantity.ts';
import { RdpullError } from '../console/rdpull-error.ts';

/** What one transfer may take at most. Bytes and counts. */
export interface Limits {
  /** Bytes as served. */
  readonly download: number;
  /** Bytes after decompression. */
  readonly size: number;
  /** How many times larger than what was served. */
  readonly ratio: number;
  /** Members of a tarball. */
  readonly entries: number;
  /** Bytes of the path of a member. */
  readonly path: number;
  /** Directories that a member may lie in, one inside the other. */
  readonly depth: number;
  /** Bytes of one extended attribute. */
  readonly xattr: number;
  readonly redirects: number;
}

export type LimitName = keyof Limits;

interface LimitSpec {
  readonly default: number;
  /** No more can be asked for: it is all that the kernel takes, or that memory is bounded for. */
  readonly most: number;
  readonly inBytes: boolean;
  /** What is limited, as `--help` says it. */
  readonly what: string;
}

const KIB = 1024;
const GIB = KIB ** 3;
const TIB = KIB ** 4;
/** The largest file of ext4 and tmpfs is smaller. */
const MOST_BYTES = 4096 * TIB;

/**
 * Every limit. The defaults are what no honest image reaches: they stop a server that never ends, and not more, because
 * what fills RAM or a disk is stopped where there is no room for it.
 *
 * The ratio: images are mostly holes, and of nothing but zeros xz makes 6,900:1, zstd 32,000:1 and gzip 1,030:1. All
 * that cost nothing when they are written. What shrinks further is either bzip2 (850,000:1) or a trick.
 */
export const LIMITS: Readonly<Record<LimitName, LimitSpec>> = {
  download: { default: TIB, most: MOST_BYTES, inBytes: true, what: 'bytes as served' },
  size: { default: 16 * TIB, most: MOST_BYTES, inBytes: true, what: 'bytes after decompression' },
  ratio: {
    default: 50_000,
    most: 1e9,
    inBytes: false,
    what: 'how many times larger than as served, judged beyond 1G',
  },
  entries: { default: 10_000_000, most: 1e9, inBytes: false, what: 'members of a tarball' },
  path: { default: 4095, most: 4095, inBytes: true, what: 'bytes of the path of a member' },
  depth: { default: 256, most: 256, inBytes: false, what: 'directories around a member' },
  xattr: { default: 64 * KIB, most: 64 * KIB, inBytes: true, what: 'bytes of one extended attribute' },
  redirects: { default: 10, most: 100, inBytes: false, what: 'redirects from one URL to the next' },
};

export const LIMIT_NAMES: readonly LimitName[] = [
  'download',
  'size',
  'ratio',
  'entries',
  'path',
  'depth',
  'xattr',
  'redirects',
];

/** The defaults, but for those that are given. */
export function limitsWith(given: Partial<Limits>): Limits {
  const {
    download = LIMITS.download.default,
    size = LIMITS.size.default,
    ratio = LIMITS.ratio.default,
    entries = LIMITS.entries.default,
    path = LIMITS.path.default,
    depth = LIMITS.depth.default,
    xattr = LIMITS.xattr.default,
    redirects = LIMITS.redirects.default,
  } = given;
  return { download, size, ratio, entries, path, depth, xattr, redirects };
}

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
export function limitExceeded(name: LimitName, message: string): RdpullError {
  return new RdpullError(
    'limit-exceeded',
    message,
    `find out what the server sends; if the file is meant to be like that, raise the limit with --limit=${name}=VALUE`,
  );
}
