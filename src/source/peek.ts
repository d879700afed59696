/** The start of a body, and a body that begins with it as if nobody had looked. */
export interface Peeked {
  /** As many bytes as were asked for, or fewer when the body is shorter; valid as long as `body` is not read. */
  readonly start: Uint8Array;
  readonly body: AsyncIterable<Uint8Array>;
}

/** Waits for the first `length` bytes of a body, and no longer. */
export async function peek(body: AsyncIterable<Uint8Array>, length: number): Promise<Peeked> {
  const rest = body[Symbol.asyncIterator]();
  let first: Uint8Array = new Uint8Array(0);
  while (first.length < length) {
    const { done, value } = await rest.next();
    if (done === true) break;
    // A chunk is only valid until the next is asked for.
    first = first.length === 0 && value.length >= length ? value : Buffer.concat([first, value]);
  }
  async function* whole(): AsyncGenerator<Uint8Array> {
    try {
      if (first.length > 0) yield first;
      yield* { [Symbol.asyncIterator]: () => rest };
    } finally {
      await rest.return?.();
    }
  }
  return { start: first.subarray(0, length), body: whole() };
}
