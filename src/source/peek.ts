import { keepBytes } from './kept-bytes.ts';

/** The start of a body, and a body that begins with it as if nobody had looked. */
export interface Peeked {
  /** As many bytes as were asked for, or fewer when the body is shorter; valid as long as `body` is not read. */
  readonly start: Uint8Array;
  readonly body: AsyncIterable<Uint8Array>;
}

/** Waits for the first `length` bytes of a body, and no longer. */
export async function peek(body: AsyncIterable<Uint8Array>, length: number): Promise<Peeked> {
  const rest = body[Symbol.asyncIterator]();
  const kept = keepBytes(length);
  /** What is looked at, and what has come with it; a chunk is only valid until the next is asked for. */
  let seen: readonly Uint8Array[] = [];
  while (kept.length < length) {
    const { done, value } = await rest.next();
    if (done === true) break;
    const room = length - kept.length;
    kept.add(value.subarray(0, room));
    seen = room === length && value.length >= length ? [value] : [kept.bytes(), value.subarray(room)];
  }
  async function* whole(): AsyncGenerator<Uint8Array> {
    try {
      yield* seen.filter((part) => part.length > 0);
      yield* { [Symbol.asyncIterator]: () => rest };
    } finally {
      await rest.return?.();
    }
  }
  return { start: kept.bytes(), body: whole() };
}
