import { quoted } from '../../console/printable.ts';
import { notHttp } from './http-fault.ts';
import { createLineReader, type LineReader } from './line-reader.ts';
import { parseField } from './response-head.ts';

/** What the line with the size of a chunk, and the trailer section, may be long, in bytes. */
const SIZE_LINE_MAX = 4096;
const TRAILER_MAX = 16 * 1024;

/** Takes a chunked body apart (RFC 9112, section 7.1). */
export interface ChunkedBody {
  /**
   * The next bytes of the body in a segment, from `position` on, and where to go on; no bytes where the segment is used
   * up. They are a view of it.
   *
   * @throws HttpFault RDPULL_NOT_HTTP
   */
  next(
    segment: Uint8Array,
    position: number,
  ): { readonly data: Uint8Array | undefined; readonly end: number };
  /** Whether the last chunk and the trailers have been read. */
  readonly complete: boolean;
}

/** Extensions and trailers are passed over, but have to be well formed, and bounded. */
export function createChunkedBody(): ChunkedBody {
  let state: 'size' | 'data' | 'data-end' | 'trailer' | 'complete' = 'size';
  let lines = sizeLines();
  /** Bytes of the present chunk that are still to come. */
  let left = 0;

  function takeLine(line: string): void {
    if (state === 'size') {
      left = chunkSize(line);
      state = left === 0 ? 'trailer' : 'data';
      lines = left === 0 ? trailerLines() : lines;
    } else if (state === 'data-end') {
      if (line !== '') throw notHttp('a chunk is longer than it says');
      state = 'size';
      lines = sizeLines();
    } else if (line === '') {
      state = 'complete';
    } else {
      parseField(line);
    }
  }

  return {
    next(segment, start) {
      let position = start;
      while (position < segment.length && state !== 'complete') {
        if (state === 'data') {
          const data = segment.subarray(position, position + left);
          left -= data.length;
          if (left === 0) {
            state = 'data-end';
            lines = dataEnd();
          }
          return { data, end: position + data.length };
        }
        const found = lines.read(segment, position);
        position = found?.end ?? segment.length;
        if (found !== undefined) takeLine(found.line);
      }
      return { data: undefined, end: position };
    },
    get complete() {
      return state === 'complete';
    },
  };
}

const sizeLines = (): LineReader =>
  createLineReader(SIZE_LINE_MAX, () => notHttp('the size of a chunk is too long a line'));
const dataEnd = (): LineReader => createLineReader(2, () => notHttp('a chunk is longer than it says'));
const trailerLines = (): LineReader =>
  createLineReader(TRAILER_MAX, () => notHttp(`the trailers are longer than ${TRAILER_MAX} bytes`));

function chunkSize(line: string): number {
  // 52 bits, which a number holds exactly.
  const size = /^([0-9A-Fa-f]{1,13})[\t ]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/.exec(line)?.[1];
  if (size === undefined) throw notHttp(`the size of a chunk is ${quoted(line.slice(0, 40))}`);
  return Number.parseInt(size, 16);
}
