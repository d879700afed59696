import type { MirroredSource } from '../source/mirrored-source.ts';
import { peek } from '../source/peek.ts';
import { readPart } from '../source/read-part.ts';
import type { SourceOptions } from '../source/source.ts';
import { type ExpectedSize, expectSize, START_BYTES } from './expected-size.ts';
import { aboutUrl, originOf } from './failed-stream.ts';
import { type Limits, requireDownload, requireSize } from './limits.ts';
import type { TargetRoom } from './room/target-room.ts';

/** What is known of an object before it is made. */
export interface LookAhead {
  /** All of the source's bytes, those that were looked at among them. */
  readonly body: AsyncIterable<Uint8Array>;
  readonly expected: ExpectedSize;
}

/**
 * Judges by what is known beforehand whether the object may and can be made, and makes room for it.
 *
 * @throws RdpullError limit-exceeded, no-room, and those of the source
 */
export async function lookAhead(
  source: MirroredSource,
  room: TargetRoom,
  { limits, overcommit }: { readonly limits: Limits; readonly overcommit: boolean },
  options: SourceOptions,
): Promise<LookAhead> {
  try {
    requireDownload(source.size ?? 0, limits);
    const { start, body } = await peek(source.body, START_BYTES);
    const [origin] = source.origins();
    const asked = { ...options, ...origin };
    const expected = await expectSize({
      start,
      size: source.size,
      readAt: source.acceptsRanges ? (from, length) => readPart(source, asked, from, length) : undefined,
      enough: Math.min(room.available(), limits.size),
    });
    requireSize(expected.uncompressed, source.size, limits);
    await room.make(expected, overcommit);
    return { body, expected };
  } catch (error) {
    options.signal.throwIfAborted();
    throw aboutUrl(originOf(source), error);
  }
}
