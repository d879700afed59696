import { RdpullError } from '../../../console/rdpull-error.ts';
import { PATH_MAX } from '../../../kernel/name-limits.ts';

/** One bound of what a tarball may ask for. */
interface TarLimit {
  /** What holds when nobody says otherwise: more than any real root file system needs. */
  readonly default: number;
  /** What it may be raised to: the kernel takes no more, or our memory would not be bounded. */
  readonly largest: number;
}

/**
 * What a tarball may ask for, by the names of `--limit=NAME=VALUE`: a few KiB of it, compressed, can name millions of
 * files, endless paths and terabytes of holes.
 *
 * A file or directory takes about 1 KiB of a tmpfs even when it is empty, so a million of them are a gigabyte of RAM;
 * a desktop distribution has half a million, and machines for building software have several times that. 16 TiB is the largest file of ext4 with its blocks of 4 KiB.
 */
export const TAR_LIMITS = {
  /** Members, and the directories made for those whose parents are no members. */
  entries: { default: 4_000_000, largest: 1_000_000_000 },
  /** Bytes of a member's path, as it stands in the archive. */
  path: { default: PATH_MAX - 1, largest: PATH_MAX - 1 },
  /** Names in a path: `usr/bin/env` has 3. */
  depth: { default: 256, largest: PATH_MAX / 2 },
  /** Bytes of all extended attributes of one member, names and values, ACLs in their text form too. */
  xattr: { default: 1 << 20, largest: 1 << 20 },
  /** Bytes of one file, its holes included. */
  file: { default: 2 ** 44, largest: Number.MAX_SAFE_INTEGER },
} as const satisfies Record<string, TarLimit>;

/** The limits in force, each from 1 to its largest value in {@link TAR_LIMITS}. */
export type TarLimits = { readonly [Key in keyof typeof TAR_LIMITS]: number };

export const DEFAULT_TAR_LIMITS: TarLimits = {
  entries: TAR_LIMITS.entries.default,
  path: TAR_LIMITS.path.default,
  depth: TAR_LIMITS.depth.default,
  xattr: TAR_LIMITS.xattr.default,
  file: TAR_LIMITS.file.default,
};

/** The archive goes beyond one of its limits: `message` says with what, and what the limit is. */
export function beyondLimit(limit: keyof TarLimits, allowed: number, message: string): RdpullError {
  return new RdpullError(
    'limit-exceeded',
    message,
    allowed < TAR_LIMITS[limit].largest
      ? `check whether the tarball is what it should be; if it is, allow more with --limit=${limit}=VALUE`
      : 'check whether the tarball is what it should be: no Linux system needs as much',
  );
}
