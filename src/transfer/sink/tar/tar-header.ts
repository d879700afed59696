import { malformed } from './tar-error.ts';

/** Everything in a tar archive begins at a multiple of this, in bytes. */
export const BLOCK_SIZE = 512;

/** The typeflag characters: ustar's (POSIX.1-2017 pax, "ustar Interchange Format"), then GNU's (tar.h, "GNUTYPE_"). */
export const TYPE = {
  oldFile: 0x00,
  file: 0x30,
  hardLink: 0x31,
  symbolicLink: 0x32,
  characterDevice: 0x33,
  blockDevice: 0x34,
  directory: 0x35,
  fifo: 0x36,
  contiguousFile: 0x37,
  pax: 0x78, // 'x'
  solarisPax: 0x58, // 'X': the same under Solaris's name
  globalPax: 0x67, // 'g'
  gnuDirectoryDump: 0x44, // 'D'
  gnuLongLink: 0x4b, // 'K'
  gnuLongName: 0x4c, // 'L'
  gnuMultiVolume: 0x4d, // 'M'
  gnuSparse: 0x53, // 'S'
  gnuVolumeLabel: 0x56, // 'V'
} as const;

/** `seconds` since the epoch (a safe integer, perhaps negative) and `nanoseconds` (0 to 999999999) after that. */
export interface Timestamp {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** A header block, whatever its dialect. Names are views of the block. */
export interface TarHeader {
  readonly name: Uint8Array;
  readonly linkName: Uint8Array;
  readonly type: number;
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of data that follow, by this header alone. */
  readonly size: number;
  readonly mtime: Timestamp;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
}

/** Positions and lengths of fields in the block, as in GNU tar's tar.h (struct posix_header). */
const NAME = [0, 100] as const;
const MODE = [100, 8] as const;
const UID = [108, 8] as const;
const GID = [116, 8] as const;
const SIZE = [124, 12] as const;
const MTIME = [136, 12] as const;
const CHECKSUM = [148, 8] as const;
const TYPEFLAG = 156;
const LINK_NAME = [157, 100] as const;
const MAGIC = 257;
const DEVICE_MAJOR = [329, 8] as const;
const DEVICE_MINOR = [337, 8] as const;
const PREFIX = [345, 155] as const;

/** What a block at a place where a header belongs turns out to be. */
export type HeaderBlock = 'header' | 'zeros' | 'not-a-header';

/** Tells a header by its checksum, which some old tars summed up over signed bytes. */
export function classifyBlock(block: Uint8Array): HeaderBlock {
  let sum = 0;
  let highBytes = 0;
  // By index: an iterator would cost more than all else that is done to a header.
  for (let i = 0; i < BLOCK_SIZE; i++) {
    const byte = block[i] ?? 0;
    sum += byte;
    highBytes += byte >> 7;
  }
  if (sum === 0) return 'zeros';
  const [start, length] = CHECKSUM;
  for (let i = start; i < start + length; i++) {
    const byte = block[i] ?? 0;
    sum += 0x20 - byte;
    highBytes -= byte >> 7;
  }
  const recorded = parseOctal(block, start, length);
  return recorded === sum || recorded === sum - 256 * highBytes ? 'header' : 'not-a-header';
}

/**
 * Reads a block that {@link classifyBlock} found to be a header.
 *
 * @throws RdpullError `tar-malformed` when a field is not a number or out of its range
 */
export function parseHeader(block: Uint8Array): TarHeader {
  // Old tars have no such fields (v7), GNU's has other things at the place of the prefix.
  const isTar = startsWith(block, MAGIC, 'ustar');
  const isUstar = isTar && block[MAGIC + 5] === 0;
  const type = block[TYPEFLAG] ?? 0;
  const isDevice = isTar && (type === TYPE.characterDevice || type === TYPE.blockDevice);
  const name = field(block, NAME);
  const prefix = isUstar ? field(block, PREFIX) : undefined;
  return {
    name: prefix?.length ? Buffer.concat([prefix, Buffer.from('/'), name]) : name,
    linkName: field(block, LINK_NAME),
    type,
    mode: readNumber(block, MODE, 'mode') & 0o7777,
    uid: readNumber(block, UID, 'user id'),
    gid: readNumber(block, GID, 'group id'),
    size: readNumber(block, SIZE, 'size'),
    mtime: { seconds: readNumber(block, MTIME, 'modification time'), nanoseconds: 0 },
    deviceMajor: isDevice ? readNumber(block, DEVICE_MAJOR, 'device number') : 0,
    deviceMinor: isDevice ? readNumber(block, DEVICE_MINOR, 'device number') : 0,
  };
}

/**
 * A numeric field: octal digits, or base 256 in two's complement when its first byte is 0x80 or 0xff (GNU, star).
 * A blank field is 0.
 *
 * @throws RdpullError `tar-malformed`
 */
export function readNumber(
  block: Uint8Array,
  [start, length]: readonly [number, number],
  what: string,
): number {
  const first = block[start];
  const value =
    first === 0x80 || first === 0xff ? parseBase256(block, start, length) : parseOctal(block, start, length);
  if (value === undefined || !Number.isSafeInteger(value)) {
    throw malformed(`a header of the tar archive holds a ${what} that is no number`);
  }
  return value;
}

function parseBase256(block: Uint8Array, start: number, length: number): number {
  let value = block[start] === 0xff ? -1 : 0;
  for (let i = start + 1; i < start + length; i++) value = value * 256 + (block[i] ?? 0);
  return value;
}

/** Digits that may be led by spaces or one NUL (as old tars do) and are ended by a space, a NUL or the field's end. */
function parseOctal(block: Uint8Array, start: number, length: number): number | undefined {
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

/** A text field: everything before its first NUL. */
function field(block: Uint8Array, [start, length]: readonly [number, number]): Uint8Array {
  const end = block.indexOf(0, start);
  return block.subarray(start, end === -1 || end > start + length ? start + length : end);
}

/** Whether `text` (ASCII) stands at `start`. */
export function startsWith(block: Uint8Array, start: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) if (block[start + i] !== text.charCodeAt(i)) return false;
  return true;
}
