/** Everything in a tar archive begins at a multiple of this, in bytes. */
export const BLOCK_SIZE = 512;

/** Of the checksum in a header, as in GNU tar's tar.h (struct posix_header). */
const CHECKSUM = 148;
const CHECKSUM_LENGTH = 8;

/** What a block at a place where a header belongs turns out to be. */
export type HeaderBlock = 'header' | 'zeros' | 'not-a-header';

/**
 * Tells a header by its checksum, which some old tars summed up over signed bytes.
 *
 * @param bytes where the block lies, at `at`
 * @param words the same bytes
 */
export function classifyBlock(bytes: Uint8Array, at = 0, words = wordsOf(bytes)): HeaderBlock {
  let sum = sumOfBytes(words, at);
  if (sum === 0) return 'zeros';
  const start = at + CHECKSUM;
  // The checksum's own field counts as spaces.
  for (let i = start; i < start + CHECKSUM_LENGTH; i++) sum += 0x20 - (bytes[i] ?? 0);
  const recorded = parseOctal(bytes, start, CHECKSUM_LENGTH);
  // A blank field is no sum, which a sum of signed bytes could equal by chance.
  const isSum = recorded !== 0 && (recorded === sum || recorded === sum - 256 * highBytes(bytes, at));
  return isSum ? 'header' : 'not-a-header';
}

export function wordsOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/**
 * Four bytes at once, into two sums of 16 bits, which a block of 512 times 255 does not fill: byte by byte, this would cost more than all else
 * that is done to a header.
 */
function sumOfBytes(words: DataView, at: number): number {
  let sums = 0;
  for (let i = at; i < at + BLOCK_SIZE; i += 4) {
    const word = words.getInt32(i, true);
    sums = (sums + (word & 0xff00ff) + ((word >>> 8) & 0xff00ff)) | 0;
  }
  return (sums & 0xffff) + (sums >>> 16);
}

/** How many bytes of a header, without its checksum, are negative where bytes have a sign. */
function highBytes(bytes: Uint8Array, at: number): number {
  let count = 0;
  for (let i = 0; i < BLOCK_SIZE; i++) {
    if (i < CHECKSUM || i >= CHECKSUM + CHECKSUM_LENGTH) count += (bytes[at + i] ?? 0) >> 7;
  }
  return count;
}

/**
 * Whether the first block of a file is the header of a member. It begins with the name of that member, which may be the magic number
 * of any other format (BZh, LZIP, KDMV): so this is asked before any of them. Tars before POSIX have no magic number themselves.
 */
export function beginsLikeTarball(start: Uint8Array): boolean {
  return start.length >= BLOCK_SIZE && classifyBlock(start.subarray(0, BLOCK_SIZE)) === 'header';
}

/** Digits that may be led by spaces or one NUL (as old tars do) and are ended by a space, a NUL or the field's end. */
export function parseOctal(block: Uint8Array, start: number, length: number): number | undefined {
  const end = start + length;
  let at = start;
  if (block[at] === 0) at++;
  while (at < end && block[at] === 0x20) at++;
  let value = 0;
  for (; at < end; at++) {
    const byte = block[at] ?? 0;
    if (byte === 0x20 || byte === 0) return value;
    if (byte < 0x30 || byte > 0x37) return undefined;
    value = value * 8 + (byte - 0x30);
  }
  return value;
}
