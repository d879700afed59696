import { crc32 } from 'node:zlib';

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
const MAX_READS = 2;

/**
 * Data shrinks less than this many times, and only runs of one byte shrink more: root file systems 2 to 5 times,
 * runs 4000 to 6900 times, by the size of the block.
 */
export const MOST_SHRUNK = 500;

/**
 * The sizes of a file of any number of .xz streams, from their indexes, which stand at the ends. The index of a file
 * that is not whole, or lies, proves nothing: the decoder is what checks it.
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
  const read = readerFromTheEnd(start, readAt);
  let uncompressed = 0;
  let withoutHoles = 0;
  let end = fileSize;
  while (end > 0) {
    const footer = await read(end - FOOTER_BYTES, FOOTER_BYTES);
    if (footer === undefined) return undefined;
    // Section 2.2: stream padding, in units of four zero bytes, never before the first stream.
    if (new DataView(footer.buffer, footer.byteOffset).getUint32(8, true) === 0) {
      end -= 4;
      continue;
    }
    const indexBytes = indexLength(footer);
    if (indexBytes === undefined || indexBytes > MAX_INDEX_BYTES) return undefined;
    const indexStart = end - FOOTER_BYTES - indexBytes;
    const index = await read(indexStart, indexBytes);
    const stream = index && parseIndex(index);
    if (stream === undefined) return undefined;
    const streamStart = indexStart - stream.blocks - HEADER_BYTES;
    const header = await read(streamStart, HEADER_BYTES);
    if (header === undefined || !beginsStream(header, footer)) return undefined;
    uncompressed += stream.uncompressed;
    withoutHoles += stream.withoutHoles;
    if (!Number.isSafeInteger(uncompressed)) return undefined;
    end = streamStart;
  }
  return fileSize === 0 ? undefined : { uncompressed, withoutHoles };
}

/** Reads backwards, a window at a time, and only so often; what `start` holds is not read again. */
function readerFromTheEnd(start: Uint8Array, readAt: ReadAt): ReadAt {
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
      if (reads === MAX_READS) return undefined;
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
  if (view.getUint32(0, true) !== crc32(footer.subarray(4, 10))) return undefined;
  return (view.getUint32(4, true) + 1) * 4;
}

/** Section 2.1.1: magic, Stream Flags, CRC32. The flags are the same at both ends. */
function beginsStream(header: Uint8Array, footer: Uint8Array): boolean {
  const view = new DataView(header.buffer, header.byteOffset, header.length);
  return (
    HEADER_MAGIC.every((byte, at) => header[at] === byte) &&
    header[6] === footer[8] &&
    header[7] === footer[9] &&
    view.getUint32(8, true) === crc32(header.subarray(6, 8))
  );
}

/** Section 4: the sums over all records; undefined when anything is not as it has to be. */
function parseIndex(index: Uint8Array): (XzSizes & { readonly blocks: number }) | undefined {
  const end = index.length - 4;
  const view = new DataView(index.buffer, index.byteOffset, index.length);
  if (end < 4 || index[0] !== 0 || view.getUint32(end, true) !== crc32(index.subarray(0, end))) {
    return undefined;
  }
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

  let blocks = 0;
  let uncompressed = 0;
  let withoutHoles = 0;
  for (let records = integer(); records !== 0; records--) {
    const unpadded = integer();
    const bytes = integer();
    blocks += Math.ceil(unpadded / 4) * 4;
    uncompressed += bytes;
    withoutHoles += Math.min(bytes, unpadded * MOST_SHRUNK);
    // Also where the number of records is nonsense: they end with the index.
    if (!Number.isSafeInteger(blocks) || !Number.isSafeInteger(uncompressed)) return undefined;
  }
  const padding = index.subarray(position, end);
  if (padding.length > 3 || padding.some((byte) => byte !== 0)) return undefined;
  return { blocks, uncompressed, withoutHoles };
}
