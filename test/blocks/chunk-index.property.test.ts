import { afterAll, test } from 'bun:test';
import fs from 'node:fs';
import fc from 'fast-check';
import { MAX_BLOCK_BYTES } from '../../src/blocks/block-map.ts';
import { parseChunkIndex } from '../../src/blocks/chunk-index.ts';
import { imageToChunk, makeChunks } from '../chunks/chunked-image.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { always, mutatedBytes, unlessRefused } from '../fixtures/property.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const directory = new TemporaryDirectory();
afterAll(() => directory[Symbol.dispose]());
const raw = directory.write('image.raw', imageToChunk(noiseOf(200_000)));
const SAMPLES = ([1024, 4096, 65536] as const).map((chunkSize) =>
  fs.readFileSync(makeChunks(directory.path, `c${chunkSize}`, raw, { chunkSize })),
);

/** Everything that is no refusal, and whatever breaks the promises of a table, is thrown. */
function explore(bytes: Buffer): void {
  const table = unlessRefused(() => parseChunkIndex(bytes));
  if (table === undefined) return;
  if (table.count * 40 > bytes.length) throw new Error('more chunks than are listed');
  if (!Number.isSafeInteger(table.size)) throw new Error('not exact');
  let end = 0;
  for (let number = 0; number < table.count; number++) {
    const { start, length, digest } = table.chunk(number);
    if (start !== end || length < 1 || length > table.largest || length > MAX_BLOCK_BYTES)
      throw new Error(`chunk ${number} is wrong`);
    end += length;
    if (table.numberAt(start) !== number || table.numberAt(end - 1) !== number) throw new Error('not found');
    const found = table.find(digest);
    if (found === undefined || Buffer.compare(found.digest, digest) !== 0)
      throw new Error('not found by its digest');
  }
  if (end !== table.size) throw new Error('the chunks are not the image');
}

test('a hostile index is refused, or is what it says', () => {
  always(mutatedBytes(SAMPLES), explore);
});

test('an index whose numbers lie, but which is whole', () => {
  const number = fc.oneof(
    fc.bigInt({ min: 0n, max: 300_000n }),
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    fc.constantFrom(0n, 1n, 4096n, 2n ** 25n, 2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n),
  );
  always(
    fc.tuple(
      fc.constantFrom(...SAMPLES),
      fc.array(fc.tuple(fc.nat(10_000), number), { maxLength: 4 }),
      fc.array(fc.tuple(fc.constantFrom(16, 24, 32, 40), number), { maxLength: 2 }),
    ),
    ([sample, ends, fields]) => {
      const bytes = Buffer.from(sample);
      const items = (bytes.length - 104) / 40;
      for (const [item, end] of ends) bytes.writeBigUInt64LE(end, 64 + (item % items) * 40);
      for (const [at, value] of fields) bytes.writeBigUInt64LE(value, at);
      explore(bytes);
    },
  );
});
