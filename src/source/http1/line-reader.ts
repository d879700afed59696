import { notHttp } from './http-fault.ts';

const CR = 0x0d;
const LF = 0x0a;

/** Lines out of segments that may be cut anywhere. */
export interface LineReader {
  /**
   * Reads on at `position` of a segment.
   *
   * @returns where the line ends in this segment, and the line without its end; undefined when the segment ends first
   * @throws HttpFault RDPULL_NOT_HTTP where LF stands without CR, or `tooLong` does
   */
  read(segment: Uint8Array, position: number): { readonly line: string; readonly end: number } | undefined;
  /** What there is of the line that has not ended. */
  unfinished(): string;
}

/**
 * Lines that end with CR LF (RFC 9112, section 2.2), as ISO 8859-1. LF alone is refused, though a recipient may take it:
 * what others on the way take for one line must not be two here.
 *
 * @param most bytes of all lines together
 * @param tooLong makes the error for more of them
 */
export function createLineReader(most: number, tooLong: () => Error): LineReader {
  let before = '';
  let taken = 0;
  return {
    read(segment, position) {
      const found = segment.indexOf(LF, position);
      const end = found < 0 ? segment.length : found + 1;
      taken += end - position;
      if (taken > most) throw tooLong();
      // A view of the segment, not a copy.
      const text = Buffer.from(segment.buffer, segment.byteOffset + position, end - position);
      before += text.toString('latin1');
      if (found < 0) return undefined;
      if (before.charCodeAt(before.length - 2) !== CR) throw notHttp('a line ends without a carriage return');
      const line = before.slice(0, -2);
      before = '';
      return { line, end };
    },
    unfinished: () => before,
  };
}
