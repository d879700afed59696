export type Compression = 'xz' | 'gzip' | 'bzip2' | 'zstd' | 'none';

interface Magic {
  readonly bytes: readonly number[];
  readonly compression: Exclude<Compression, 'none'>;
}

/** The first bytes of each format, from its specification: the name of a file never decides. */
const MAGICS: readonly Magic[] = [
  { bytes: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], compression: 'xz' },
  { bytes: [0x1f, 0x8b], compression: 'gzip' },
  { bytes: [0x28, 0xb5, 0x2f, 0xfd], compression: 'zstd' },
  { bytes: [0x42, 0x5a, 0x68], compression: 'bzip2' },
];

/** RFC 8878, section 3.1.2: a zstd file may begin with a skippable frame (pzstd and seekable zstd do). */
const ZSTD_SKIPPABLE = [0x2a, 0x4d, 0x18] as const;

/** The compression that a file which begins with `start` has; undefined for any that rdpull does not read, and none. */
export function compressionOf(start: Uint8Array): Exclude<Compression, 'none'> | undefined {
  const known = MAGICS.find(({ bytes }) => startsWith(start, bytes));
  if (known !== undefined) return known.compression;
  return ((start[0] ?? 0) & 0xf0) === 0x50 && startsWith(start.subarray(1), ZSTD_SKIPPABLE)
    ? 'zstd'
    : undefined;
}

function startsWith(start: Uint8Array, bytes: readonly number[]): boolean {
  return bytes.every((byte, index) => start[index] === byte);
}
