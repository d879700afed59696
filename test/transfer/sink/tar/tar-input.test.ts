import { expect, test } from 'bun:test';
import { TarInput, type Wanting } from '../../../../src/transfer/sink/tar/tar-input.ts';

/** Lets `work` have `bytes` in chunks of `chunkSize`, and then their end. */
function feed<T>(bytes: Uint8Array, chunkSize: number, work: (input: TarInput) => Wanting<T>): T {
  const input = new TarInput();
  const working = work(input);
  for (let at = 0; at < bytes.length; at += chunkSize) {
    input.give(bytes.subarray(at, at + chunkSize));
    const { done, value } = working.next();
    if (done === true) return value;
  }
  input.end();
  const { done, value } = working.next();
  if (done !== true) throw new Error('it wants more than there is');
  return value;
}

const BYTES = Uint8Array.from({ length: 1300 }, (_, index) => index % 251);

test.each([1, 7, 511, 512, 513, 5000])(
  'blocks, bytes and what is passed over, in chunks of %p',
  (chunkSize) => {
    const seen = feed(BYTES, chunkSize, function* (input) {
      const block = yield* input.block();
      const first = [...(block ?? [])];
      const missing = yield* input.take(88, () => undefined);
      const taken: number[] = [];
      const left = yield* input.take(100, (bytes) => taken.push(...bytes));
      return { first, missing, taken, left, position: input.position };
    });
    expect(seen.first).toEqual([...BYTES.subarray(0, 512)]);
    expect(seen.taken).toEqual([...BYTES.subarray(600, 700)]);
    expect({ ...seen, first: 0, taken: 0 }).toEqual({
      first: 0,
      missing: 0,
      taken: 0,
      left: 0,
      position: 700,
    });
  },
);

test.each([1, 600, 5000])('what is missing at the end is told, in chunks of %p', (chunkSize) => {
  const seen = feed(BYTES, chunkSize, function* (input) {
    const blocks = [yield* input.block(), yield* input.block()].filter((block) => block !== undefined).length;
    const third = yield* input.block();
    const rest = [...input.partialBlock];
    return { blocks, third, rest, missing: yield* input.take(10, () => undefined), bytes: input.bytes };
  });
  expect(seen).toEqual({
    blocks: 2,
    third: undefined,
    rest: [...BYTES.subarray(1024)],
    missing: 10,
    bytes: 1300,
  });
});
