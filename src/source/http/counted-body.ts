import { createLowWater } from './low-water.ts';
import type { UndiciParser } from './undici-parser.ts';

/** enum llhttp_errno, llhttp.h: what a callback answers when it wants no more for now. */
const HPE_PAUSED = 21;

const NOTHING = Buffer.alloc(0);

/**
 * A body whose length the head says: behind the bytes that came together with the head it goes past llhttp, which would do nothing
 * but count, and would want all of it copied into its memory for that.
 */
export interface CountedBody {
  /** Whether there is one, and some of it is still to come. */
  readonly isOpen: boolean;
  /** undici has taken the head. Where there is a body of a length, llhttp has it up to the end of the present chunk. */
  begin(): void;
  /**
   * Takes a chunk in llhttp's place.
   *
   * @returns what is not of this body any more
   */
  take(chunk: Buffer): Buffer;
  /** The answer has ended. */
  end(): void;
}

export function createCountedBody(parser: UndiciParser): CountedBody {
  const { llhttp, socket, onBody } = parser;
  const lowWater = createLowWater(socket);
  let left = 0;

  parser.onBody = (part) => {
    left = Math.max(0, left - part.length);
    return onBody.call(parser, part);
  };

  /** @returns whether whoever reads wants what is behind it */
  function complete(): boolean {
    // It has counted no further than the first chunk, and begins anew with the next answer.
    llhttp.llhttp_reset(parser.ptr);
    return parser.onMessageComplete() === 0;
  }

  return {
    get isOpen() {
      return left > 0;
    },
    begin() {
      // Of a HEAD, and of what has no body whatever it says (204, 304), undici has forgotten the length.
      left = Math.max(0, parser.contentLength);
    },
    take(chunk) {
      if (chunk.length === 0) return NOTHING;
      const part = chunk.subarray(0, left);
      const behind = chunk.subarray(part.length);
      lowWater.arrived(part.length, left - part.length);
      try {
        const answer = parser.onBody(part);
        if (left === 0 && !socket.destroyed) return complete() ? behind : NOTHING;
        if (answer === HPE_PAUSED) parser.paused = true;
      } catch (error) {
        socket.destroy(error instanceof Error ? error : new Error(String(error)));
      }
      return NOTHING;
    },
    end() {
      left = 0;
      lowWater.end();
    },
  };
}
