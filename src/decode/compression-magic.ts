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
];

/** RFC 8878, section 3.1.2: a zstd file may begin with a skippable frame (pzstd and seekable zstd do). */
const ZSTD_SKIPPABLE = '\x2a\x4d\x18';

/** compress.c of bzip2: `BZh`, a digit, and then the first block (pi in BCD), or the end of a file of nothing (its square root). */
const BZIP2 = { characters: 'BZh', level: 3, blocks: 4 } as const;
const BZIP2_BLOCKS: readonly string[] = ['1AY&SY', '\x17rE8P\x90'];

/** So many bytes tell these from everything else behind a member: every member of every format is longer. */
export const MEMBER_START_BYTES = 6;

/** The compression that a file which begins with `start` has; undefined for any that rdpull does not read, and none. */
export function compressionOf(start: Uint8Array): Exclude<Compression, 'none'> | undefined {
  const known = MAGICS.find(({ characters }) => hasMagic(start, characters));
  if (known !== undefined) return known.compression;
  if (isBzip2(start)) return 'bzip2';
  return ((start[0] ?? 0) & 0xf0) === 0x50 && hasMagic(start, ZSTD_SKIPPABLE, 1) ? 'zstd' : undefined;
}

/** As far as `start` goes: "BZh" alone is the start of many a text. */
function isBzip2(start: Uint8Array): boolean {
  const level = start[BZIP2.level] ?? 0;
  if (!hasMagic(start, BZIP2.characters) || level < 0x31 || level > 0x39) return false;
  const behind = start.length - BZIP2.blocks;
  return BZIP2_BLOCKS.some((block) => hasMagic(start, block.slice(0, behind), BZIP2.blocks));
}
