/** RFC 8878, section 3.1.1: `Magic_Number`, little-endian. */
const MAGIC = 0xfd2fb528;
/** Magic, descriptor, window, dictionary and content size at their longest. */
export const ZSTD_FRAME_HEADER_BYTES = 18;

/** RFC 8878, section 3.1.1.1.1: bytes of the fields, by their flags in the descriptor. */
const DICTIONARY_ID_BYTES = [0, 1, 2, 4] as const;
const CONTENT_SIZE_BYTES = [0, 2, 4, 8] as const;
const SINGLE_SEGMENT = 0x20;
const RESERVED = 0x08;

/**
 * `Frame_Content_Size` of the zstd frame that `start` begins with, in bytes. It is that of the first frame only: others
 * may follow it.
 *
 * @param start the first {@link ZSTD_FRAME_HEADER_BYTES} of a file, or all of it
 * @returns undefined when the frame does not say (zstd leaves it out when it compresses a pipe), or is skippable
 */
export function zstdContentSize(start: Uint8Array): number | undefined {
  const header = parse(start);
  if (header === undefined) return undefined;
  const { bytes, descriptor, singleSegment, dictionary } = header;
  const flag = descriptor >> 6;
  const length = flag === 0 && singleSegment ? 1 : (CONTENT_SIZE_BYTES[flag] ?? 0);
  const position = dictionary.position + dictionary.length;
  if (length === 0 || bytes.length < position + length) return undefined;
  if (length < 8) return bytes.readUIntLE(position, length) + (length === 2 ? 256 : 0);
  const size = bytes.readBigUInt64LE(position);
  return size <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(size) : Number.MAX_SAFE_INTEGER;
}

/**
 * `Dictionary_ID` of the zstd frame that `start` begins with: the number of the dictionary that it was made with.
 *
 * @param start as for {@link zstdContentSize}
 * @returns undefined when there is none, or the frame does not say, or is skippable
 */
export function zstdDictionary(start: Uint8Array): number | undefined {
  const header = parse(start);
  if (header === undefined) return undefined;
  const { bytes, dictionary } = header;
  if (dictionary.length === 0 || bytes.length < dictionary.position + dictionary.length) return undefined;
  return bytes.readUIntLE(dictionary.position, dictionary.length) || undefined;
}

/** undefined for what is no frame */
function parse(start: Uint8Array) {
  const bytes = Buffer.from(start.buffer, start.byteOffset, start.length);
  const descriptor = bytes[4];
  if (descriptor === undefined || bytes.readUInt32LE(0) !== MAGIC || (descriptor & RESERVED) !== 0) {
    return undefined;
  }
  const singleSegment = (descriptor & SINGLE_SEGMENT) !== 0;
  const dictionary = {
    position: 5 + (singleSegment ? 0 : 1),
    length: DICTIONARY_ID_BYTES[descriptor & 3] ?? 0,
  };
  return { bytes, descriptor, singleSegment, dictionary };
}
