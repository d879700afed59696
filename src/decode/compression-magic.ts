import { hasMagic } from '../source/magic-number.ts';

export type Compression = 'xz' | 'gzip' | 'bzip2' | 'zstd' | 'none';

interface Magic {
  /** One for each byte. */
  readonly characters: string;
  readonly compression: Exclude<Compression, 'none'>;
}

/** The first bytes of each format, from its specification: the name of a file never decides. */
const MAGICS: readonly Magic[] = [
  { characters: '\xfd7zXZ\0', compression: 'xz' },
  { characters: '\x1f\x8b', compression: 'gzip' },
  { characters: '\x28\xb5\x2f\xfd', compression: 'zstd' },
  { characters: 'BZh', compression: 'bzip2' },
];

/** RFC 8878, section 3.1.2: a zstd file may begin with a skippable frame (pzstd and seekable zstd do). */
const ZSTD_SKIPPABLE = '\x2a\x4d\x18';

/** The length of the longest of these: every member of every format is longer. */
export const LONGEST_MAGIC = 6;

/** The compression that a file which begins with `start` has; undefined for any that rdpull does not read, and none. */
export function compressionOf(start: Uint8Array): Exclude<Compression, 'none'> | undefined {
  const known = MAGICS.find(({ characters }) => hasMagic(start, characters));
  if (known !== undefined) return known.compression;
  return ((start[0] ?? 0) & 0xf0) === 0x50 && hasMagic(start, ZSTD_SKIPPABLE, 1) ? 'zstd' : undefined;
}
