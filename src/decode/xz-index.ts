/** Reads `length` bytes at `offset` of a file; undefined when they cannot be had. */
export type ReadAt = (offset: number, length: number) => Promise<Uint8Array | undefined>;

/** What the indexes of an .xz file say. Bytes. */
export interface XzSizes {
  readonly uncompressed: number;
  /** {@link XzSizes.uncompressed} without the blocks, or parts of blocks, that must be runs of one byte: holes. */
  readonly withoutHoles: number;
}

/** The .xz File Format 1.2.1, sections 2.1.1 and 2.1.2 */
const HEADER_MAGIC = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00] as const;
const FOOTER_MAGIC = [0x59, 0x5a] as const;
const HEADER_BYTES = 12;
const FOOTER_BYTES = 12;

/** Read at once: enough for the index of 10,000 blocks, which are 120 GiB as mkosi makes them. */
const TAIL_BYTES = 64 * 1024;
/** A larger index is not worth the time. */
const MAX_INDEX_BYTES = 8 * 1024 * 1024;
/** Each is a request to the server. */
const READS_FOR_SIZES = 2;

/**
 * Data shrinks less than this many times, and only runs of one byte shrink more: root file systems 2 to 5 times,
 * runs 4000 to 6900 times, by the size of the block.
 */
export const MOST_SHRUNK = 500;

/** One stream of an .xz file, as its index tells it. */
export interface XzStream {
  /** Where it begins in the file, in bytes. */
  readonly start: number;
  /** `lzma_check`: how each of its blocks is checked (section 2.1.1.2). */
  readonly check: number;
  /** Sum of its blocks after decompression, in bytes. */
  readonly uncompressed: number;
  /** Takes its blocks in turn: `unpadded` and `uncompressed` are section 4.3's sizes, in bytes. */
  records(take: TakeRecord): void;
}

/** Returns false to end it. */
type TakeRecord = (unpadded: number, uncompressed: number) => boolean;

/** Bytes before the first block of a stream. */
export const XZ_STREAM_HEADER_BYTES = HEADER_BYTES;

/** Section 3.3 and 4.3: blocks are padded to four bytes, and the index gives their length without that. */
export function paddedBlock(unpadded: number): number {
  return Math.ceil(unpadded / 4) * 4;
}

/**
 * Walks the streams of an .xz file from the last to the first, by their indexes, which stand at the ends. The index of a
 * file that is not whole, or lies, proves nothing: the decoder is what checks it.
 *
 * @param start the first bytes of the file
 * @param fileSize of the compressed file
 * @param reads how many reads it may take
 * @param visit returns false to end it
 * @returns whether all of them were visited
 */
export async function visitXzStreams(
  start: Uint8Array,
  fileSize: number,
  readAt: ReadAt,
  reads: number,
  visit: (stream: XzStream) => boolean,
): Promise<boolean> {
  const read = readerFromTheEnd(start, readAt, reads);
  let end = fileSize;
  while (end > 0) {
    const footer = await read(end - FOOTER_BYTES, FOOTER_BYTES);
    if (footer === undefined) return false;
    // Section 2.2: stream padding, in units of four zero bytes, never before the first stream.
    if (new DataView(footer.buffer, footer.byteOffset).getUint32(8, true) === 0) {
      end -= 4;
      continue;
    }
    const indexBytes = indexLength(footer);
    if (indexBytes === undefined || indexBytes > MAX_INDEX_BYTES) return false;
    const indexStart = end - FOOTER_BYTES - indexBytes;
    const index = await read(indexStart, indexBytes);
    const sums = index && parseIndex(index);
    if (index === undefined || sums === undefined) return false;
    const streamStart = indexStart - sums.blocks - HEADER_BYTES;
    const header = await read(streamStart, HEADER_BYTES);
    if (header === undefined || !beginsStream(header, footer)) return false;
    const goOn = visit({
      start: streamStart,
      check: (header[7] ?? 0) & 0x0f,
      uncompressed: sums.uncompressed,
      records: (take) => void readRecords(index, take),
    });
    if (!goOn) return false;
    end = streamStart;
  }
  return fileSize > 0;
}

/**
 * The sizes of a file of any number of .xz streams.
 *
 * @param start the first bytes of the file, 12 or more
 * @param fileSize of the compressed file
 * @returns undefined when they cannot be told in two reads
 */
export async function xzSizes(
  start: Uint8Array,
  fileSize: number,
  readAt: ReadAt,
): Promise<XzSizes | undefined> {
  let uncompressed = 0;
  let withoutHoles = 0;
  const complete = await visitXzStreams(start, fileSize, readAt, READS_FOR_SIZES, (stream) => {
    uncompressed += stream.uncompressed;
    stream.records((unpadded, bytes) => {
      withoutHoles += Math.min(bytes, unpadded * MOST_SHRUNK);
      return true;
    });
    return true;
  });
  return complete && Number.isSafeInteger(uncompressed) ? { uncompressed, withoutHoles } : undefined;
}

/** Reads backwards, a window at a time, and only so often; what `start` holds is not read again. */
function readerFromTheEnd(start: Uint8Array, readAt: ReadAt, most: number): ReadAt {
  let window: { readonly offset: number; readonly bytes: Uint8Array } | undefined;
  let reads = 0;
  return async (offset, length) => {
    if (offset < 0) return undefined;
    if (offset + length <= start.length) return start.subarray(offset, offset + length);
    if (
      window === undefined ||
      offset < window.offset ||
      offset + length > window.offset + window.bytes.length
    ) {
      if (reads === most) return undefined;
      reads++;
      const from = Math.max(0, Math.min(offset, offset + length - TAIL_BYTES));
      const bytes = await readAt(from, offset + length - from);
      if (bytes?.length !== offset + length - from) return undefined;
      window = { offset: from, bytes };
    }
    return window.bytes.subarray(offset - window.offset, offset - window.offset + length);
  };
}

/** Section 2.1.2: CRC32, Backward Size, Stream Flags, magic. The length of the index in bytes. */
function indexLength(footer: Uint8Array): number | undefined {
  const view = new DataView(footer.buffer, footer.byteOffset, footer.length);
  if (!FOOTER_MAGIC.every((byte, at) => footer[10 + at] === byte)) return undefined;
  if (view.getUint32(0, true) !== Bun.hash.crc32(footer.subarray(4, 10))) return undefined;
  return (view.getUint32(4, true) + 1) * 4;
}

/** Section 2.1.1: magic, Stream Flags, CRC32. The flags are the same at both ends. */
function beginsStream(header: Uint8Array, footer: Uint8Array): boolean {
  const view = new DataView(header.buffer, header.byteOffset, header.length);
  return (
    HEADER_MAGIC.every((byte, at) => header[at] === byte) &&
    header[6] === footer[8] &&
    header[7] === footer[9] &&
    view.getUint32(8, true) === Bun.hash.crc32(header.subarray(6, 8))
  );
}

/** Section 4: the sums over all records, in bytes; undefined when anything is not as it has to be. */
function parseIndex(
  index: Uint8Array,
): { readonly blocks: number; readonly uncompressed: number } | undefined {
  const end = index.length - 4;
  const view = new DataView(index.buffer, index.byteOffset, index.length);
  if (end < 4 || index[0] !== 0 || view.getUint32(end, true) !== Bun.hash.crc32(index.subarray(0, end))) {
    return undefined;
  }
  let blocks = 0;
  let uncompressed = 0;
  const complete = readRecords(index, (unpadded, bytes) => {
    blocks += paddedBlock(unpadded);
    uncompressed += bytes;
    return Number.isSafeInteger(blocks) && Number.isSafeInteger(uncompressed);
  });
  return complete ? { blocks, uncompressed } : undefined;
}

/** @returns whether the index ends with its last record, and its padding is as it has to be */
function readRecords(index: Uint8Array, take: TakeRecord): boolean {
  const end = index.length - 4;
  let position = 1;
  /** Section 1.2: seven bits a byte, the least significant first; NaN when it is not one. */
  function integer(): number {
    let value = 0;
    for (let at = 0; at < 9 && position < end; at++) {
      const byte = index[position++] ?? 0;
      value += (byte & 0x7f) * 128 ** at;
      if (byte < 0x80) return byte === 0 && at > 0 ? Number.NaN : value;
    }
    return Number.NaN;
  }

  // Also where the number of records is nonsense: they end with the index.
  for (let records = integer(); records !== 0; records--) {
    const unpadded = integer();
    const uncompressed = integer();
    if (Number.isNaN(unpadded + uncompressed) || !take(unpadded, uncompressed)) return false;
  }
  const padding = index.subarray(position, end);
  return padding.length <= 3 && padding.every((byte) => byte === 0);
}
