import { parseOctal } from '../../../decode/tar-block.ts';
import { malformed } from './tar-error.ts';

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

/** Positions and lengths of fields in the block, as in GNU tar's tar.h (struct posix_header). */
const NAME = 0;
const NAME_LENGTH = 100;
const MODE = 100;
const UID = 108;
const GID = 116;
const NUMBER_LENGTH = 8;
const SIZE = 124;
const SIZE_LENGTH = 12;
const MTIME = 136;
const MTIME_LENGTH = 12;
const TYPEFLAG = 156;
const LINK_NAME = 157;
const MAGIC = 257;
const DEVICE_MAJOR = 329;
const DEVICE_MINOR = 337;
const PREFIX = 345;
const PREFIX_LENGTH = 155;

/** The type alone, of a block that {@link classifyBlock} found to be a header. */
export function headerType(bytes: Uint8Array, at: number): number {
  return bytes[at + TYPEFLAG] ?? 0;
}

/**
 * The size alone: all that headers have that are about the next member.
 *
 * @throws RdpullError `tar-malformed` when it is not a number or out of its range
 */
export function headerSize(bytes: Uint8Array, at: number): number {
  return readNumber(bytes, at + SIZE, SIZE_LENGTH, 'size');
}

/**
 * Reads a block that {@link classifyBlock} found to be a header, and that lies in `bytes` at `at`.
 *
 * @throws RdpullError `tar-malformed` when a field is not a number or out of its range
 */
export function parseHeader(bytes: Uint8Array, at = 0): TarHeader {
  return new TarHeader(bytes, at);
}

/** A header block, whatever its dialect. Names are views of the block, made when they are asked for: most headers' are not. */
export class TarHeader {
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
  readonly #bytes: Uint8Array;
  readonly #at: number;

  constructor(bytes: Uint8Array, at: number) {
    const type = headerType(bytes, at);
    const isDevice = (type === TYPE.characterDevice || type === TYPE.blockDevice) && isTar(bytes, at);
    this.#bytes = bytes;
    this.#at = at;
    this.type = type;
    this.mode = readNumber(bytes, at + MODE, NUMBER_LENGTH, 'mode') & 0o7777;
    this.uid = readNumber(bytes, at + UID, NUMBER_LENGTH, 'user id');
    this.gid = readNumber(bytes, at + GID, NUMBER_LENGTH, 'group id');
    this.size = headerSize(bytes, at);
    this.mtime = {
      seconds: readNumber(bytes, at + MTIME, MTIME_LENGTH, 'modification time'),
      nanoseconds: 0,
    };
    this.deviceMajor = isDevice ? readNumber(bytes, at + DEVICE_MAJOR, NUMBER_LENGTH, 'device number') : 0;
    this.deviceMinor = isDevice ? readNumber(bytes, at + DEVICE_MINOR, NUMBER_LENGTH, 'device number') : 0;
  }

  get name(): Uint8Array {
    const name = field(this.#bytes, this.#at + NAME, NAME_LENGTH);
    const prefix = this.#at + PREFIX;
    // GNU's has other things at the place of the prefix.
    const isUstar = this.#bytes[this.#at + MAGIC + 5] === 0 && isTar(this.#bytes, this.#at);
    if (!isUstar || this.#bytes[prefix] === 0) return name;
    return Buffer.concat([field(this.#bytes, prefix, PREFIX_LENGTH), Buffer.from('/'), name]);
  }

  get linkName(): Uint8Array {
    return field(this.#bytes, this.#at + LINK_NAME, NAME_LENGTH);
  }
}

/** Old tars (v7) have no such magic, and none of the fields behind it. */
function isTar(bytes: Uint8Array, at: number): boolean {
  return startsWith(bytes, at + MAGIC, 'ustar');
}

/**
 * A numeric field: octal digits, or base 256 in two's complement when its first byte is 0x80 or 0xff (GNU, star).
 * A blank field is 0.
 *
 * @throws RdpullError `tar-malformed`
 */
export function readNumber(bytes: Uint8Array, start: number, length: number, what: string): number {
  const first = bytes[start];
  const value =
    first === 0x80 || first === 0xff ? parseBase256(bytes, start, length) : parseOctal(bytes, start, length);
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

/** A text field: everything before its first NUL. */
function field(bytes: Uint8Array, start: number, length: number): Uint8Array {
  let end = start;
  while (end < start + length && bytes[end] !== 0) end++;
  return bytes.subarray(start, end);
}

/** Whether `text` (ASCII) stands at `start`. */
export function startsWith(block: Uint8Array, start: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) if (block[start + i] !== text.charCodeAt(i)) return false;
  return true;
}
