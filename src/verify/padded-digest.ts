import fs from 'node:fs';

/** Bytes that are read at once. */
const PIECE = 1024 * 1024;

/** A file ends at a multiple of this, if it is a disk image: a sector. */
const SECTOR = 512;

/** How many ends are tried: 32 MiB of zeros. A RAM disk is rounded to 2 MiB at most. */
const ENDS = 65_536;

/** The bytes that have a digest. */
export interface DigestedBytes {
  readonly digest: string;
  /** How many, from the beginning. */
  readonly size: number;
}

/** Where to look, in bytes. */
interface Extent {
  readonly start: number;
  readonly size: number;
}

/**
 * Finds out whether a part of a device begins with a file that has one of these digests, and has nothing but zeros behind it: the length of a
 * file is lost where it became a disk in memory. Every byte of that part is looked at.
 *
 * @param digests SHA-256, lower-case hexadecimal
 * @returns undefined when it does not
 * @throws Error of read(2); the reason of the signal
 */
export async function findDigested(
  fd: number,
  { start, size }: Extent,
  digests: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<DigestedBytes | undefined> {
  const end = await contentEnd(fd, { start, size }, signal);
  const hash = new Bun.CryptoHasher('sha256');
  const content = Buffer.alloc(PIECE);
  let offset = 0;
  while (offset < end) {
    const wanted = Math.min(PIECE, end - offset);
    hash.update(read(fd, content, start + offset, wanted));
    offset += wanted;
    await breathe(signal);
  }
  const zeros = Buffer.alloc(SECTOR);
  for (let tries = 0; tries < ENDS && offset <= size; tries++) {
    const digest = hash.copy().digest('hex');
    if (digests.has(digest)) return { digest, size: offset };
    hash.update(zeros);
    offset += SECTOR;
  }
  return undefined;
}

/** Where the zeros at the end begin, in whole sectors from the start. */
async function contentEnd(fd: number, { start: first, size }: Extent, signal: AbortSignal): Promise<number> {
  const buffer = Buffer.alloc(PIECE);
  const zeros = Buffer.alloc(PIECE);
  let end = size;
  while (end > 0) {
    const start = Math.max(0, end - PIECE);
    const piece = read(fd, buffer, first + start, end - start);
    if (!piece.equals(zeros.subarray(0, piece.length))) {
      let last = piece.length;
      while (piece[last - 1] === 0) last--;
      return Math.min(size, Math.ceil((start + last) / SECTOR) * SECTOR);
    }
    end = start;
    await breathe(signal);
  }
  return 0;
}

function read(fd: number, buffer: Buffer, offset: number, length: number): Buffer {
  let filled = 0;
  while (filled < length) {
    const count = fs.readSync(fd, buffer, filled, length - filled, offset + filled);
    if (count === 0) throw new Error(`it ends at byte ${offset + filled}`);
    filled += count;
  }
  return buffer.subarray(0, length);
}

/** Lets signals come in. */
async function breathe(signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
  signal.throwIfAborted();
}
