import type { Sink } from '../../decode/sink.ts';
import { type Limits, requireSize } from '../limits.ts';

/**
 * A sink that takes no more than it may, and says so before it would: what is too much is not written.
 *
 * @param served how many bytes as served have gone into the decoder so far
 * @param before bytes that count as well: of what is part of the same image
 */
export function limitedSink(
  sink: Sink,
  limits: Pick<Limits, 'size' | 'ratio'>,
  served: () => number,
  before = 0,
): Sink {
  let bytes = before;
  return {
    ...sink,
    async write(chunk) {
      bytes += chunk.length;
      requireSize(bytes, served(), limits);
      await sink.write(chunk);
    },
  };
}
