import { expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { parseChunkIndex } from '../../src/blocks/chunk-index.ts';
import { createChunkCutter } from '../../src/chunks/chunk-cutter.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

/** Bytes that look like chance, but are the same each time. */
function noise(bytes: number): Buffer {
  const blocks = Array.from({ length: bytes / 32 }, (_, number) =>
    createHash('sha256').update(String(number)).digest(),
  );
  return Buffer.concat(blocks);
}

const NOISE = noise(1024 * 1024);
/** With holes, with text that repeats itself, and with an end in the middle of everything. */
const IMAGE = Buffer.concat([
  NOISE.subarray(0, 400_000),
  Buffer.alloc(700_000),
  Buffer.from('all work and no play makes Jack a dull boy\n'.repeat(9000)),
  NOISE.subarray(300_000, 1_000_001),
]);

test.each([
  ['16384'],
  ['65536'],
  // Smallest, average, and largest chunk: usual for nobody, and all alike.
  ['4096:9000:20000'],
  ['100:2000:4000'],
  ['32768:32768:32768'],
])('an image is cut as casync does it, chunks of %s', (size) => {
  using directory = new TemporaryDirectory();
  const index = directory.file('image.caibx');
  const store = directory.file('default.castr');
  const image = directory.write('image.raw', IMAGE);
  run(['casync', 'make', `--store=${store}`, `--chunk-size=${size}`, index, image]);
  const table = parseChunkIndex(fs.readFileSync(index));
  const wanted = Array.from({ length: table.count }, (_, number) => [
    table.start(number),
    table.length(number),
  ]);
  expect(wanted.length).toBeGreaterThan(5);
  for (const piece of [IMAGE.length, 1000, 65_537]) {
    const cut: number[][] = [];
    const cutter = createChunkCutter(table.made, ({ length }) => {
      const [start = 0, before = 0] = cut.at(-1) ?? [];
      cut.push([start + before, length]);
    });
    for (let at = 0; at < IMAGE.length; at += piece) cutter.add(IMAGE.subarray(at, at + piece));
    cutter.end();
    expect(cut).toEqual(wanted);
  }
});
