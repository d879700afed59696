import { streamCorrupt } from './member-decoder.ts';

/** RFC 1952, section 2.3 */
const FIXED_BYTES = 10;
const METHOD_DEFLATE = 8;
const FHCRC = 0x02;
const FEXTRA = 0x04;
const FNAME = 0x08;
const FCOMMENT = 0x10;
const RESERVED = 0xe0;

/** The longest header that is read: an extra field is at most 64 KiB, and names are not longer than that. */
const MAX_BYTES = 256 * 1024;

/**
 * The length in bytes of the gzip member header that `start` begins with, or undefined when it is not complete yet.
 * (ISA-L has a parser of its own, but loses its place when the header arrives in pieces.)
 *
 * @throws RdpullError `stream-corrupt`
 */
export function gzipHeaderLength(start: Uint8Array): number | undefined {
  if (start.length < FIXED_BYTES) return undefined;
  const flags = start[3] ?? 0;
  if (start[0] !== 0x1f || start[1] !== 0x8b || start[2] !== METHOD_DEFLATE || (flags & RESERVED) !== 0) {
    throw streamCorrupt('gzip', 'a member has an invalid header');
  }
  let length: number | undefined = FIXED_BYTES;
  if (flags & FEXTRA) length = behindExtraField(start, length);
  if (flags & FNAME) length = behindString(start, length);
  if (flags & FCOMMENT) length = behindString(start, length);
  if (flags & FHCRC) length = behindChecksum(start, length);
  if (length !== undefined && length <= start.length) return length;
  if (start.length > MAX_BYTES) throw streamCorrupt('gzip', 'a member has a header of unreasonable length');
  return undefined;
}

function behindExtraField(start: Uint8Array, at: number): number | undefined {
  const [low, high] = start.subarray(at, at + 2);
  return low === undefined || high === undefined ? undefined : at + 2 + low + high * 256;
}

function behindString(start: Uint8Array, at: number | undefined): number | undefined {
  const end = at === undefined ? -1 : start.indexOf(0, at);
  return end < 0 ? undefined : end + 1;
}

function behindChecksum(start: Uint8Array, at: number | undefined): number | undefined {
  if (at === undefined || at + 2 > start.length) return undefined;
  const stored = (start[at] ?? 0) + (start[at + 1] ?? 0) * 256;
  if (stored !== (Bun.hash.crc32(start.subarray(0, at)) & 0xffff)) {
    throw streamCorrupt('gzip', 'the checksum of a member header does not match');
  }
  return at + 2;
}
