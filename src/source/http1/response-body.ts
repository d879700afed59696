import type { BodyFraming } from './body-framing.ts';
import { type ChunkedBody, createChunkedBody } from './chunked-body.ts';
import { HttpFault } from './http-fault.ts';
import type { Segments } from './segments.ts';

/**
 * The body of an answer, in views of the segments that bring it: nothing is copied, and a segment that is here already
 * is handed on without waiting. The connection is given up behind the last byte, and when the reader stops before it.
 *
 * @param rest what has come of it together with the head
 * @param named makes of a failure what the reader gets
 */
export function responseBody(
  framing: BodyFraming,
  rest: Uint8Array,
  segments: Segments,
  named: (error: unknown) => Error,
): AsyncIterable<Uint8Array> {
  const take = framing.kind === 'chunked' ? chunks(createChunkedBody()) : bytes(framing);
  let segment = rest;
  let position = 0;
  let failure: Error | undefined;
  let over = false;

  function finish(): { done: true; value: undefined } {
    over = true;
    segments.close();
    return { done: true, value: undefined };
  }

  async function next(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (failure !== undefined) throw failure;
    if (over) return { done: true, value: undefined };
    try {
      for (;;) {
        const { data, end, complete } = take(segment, position);
        position = end;
        if (data !== undefined && data.length > 0) {
          segments.progressed();
          return { done: false, value: data };
        }
        if (complete) return finish();
        const arrived = segments.take();
        position = 0;
        segment = arrived ?? NOTHING;
        if (arrived !== undefined || (await segments.arrival())) continue;
        if (framing.kind === 'until-close') return finish();
        throw new HttpFault('RDPULL_CLOSED', 'the connection was closed within the body');
      }
    } catch (error) {
      segments.close();
      failure = named(error);
      throw failure;
    }
  }

  return { [Symbol.asyncIterator]: () => ({ next, return: async () => finish() }) };
}

const NOTHING = new Uint8Array(0);

/** Reads on in a segment; `complete` says that the body has ended before `end`. */
type Take = (
  segment: Uint8Array,
  position: number,
) => { readonly data: Uint8Array | undefined; readonly end: number; readonly complete: boolean };

function chunks(body: ChunkedBody): Take {
  return (segment, position) => {
    const { data, end } = body.next(segment, position);
    return { data, end, complete: body.complete };
  };
}

function bytes(framing: Exclude<BodyFraming, { kind: 'chunked' }>): Take {
  let left = framing.kind === 'length' ? framing.bytes : Number.POSITIVE_INFINITY;
  return (segment, position) => {
    if (left === 0) return { data: undefined, end: position, complete: true };
    const data = segment.subarray(position, Math.min(segment.length, position + left));
    left -= data.length;
    return { data, end: position + data.length, complete: false };
  };
}
