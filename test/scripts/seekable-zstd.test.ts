import { afterAll, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { openBlockDecoder } from '../../src/blocks/block-decoder.ts';
import { openBlockMap } from '../../src/blocks/open-block-map.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const SCRIPT = path.resolve(import.meta.dir, '../../scripts/seekable-zstd');
const directory = new TemporaryDirectory();
afterAll(() => directory[Symbol.dispose]());

/** Half of it can be packed; its end is no whole frame. */
const image = Buffer.concat([noiseOf(700_000), Buffer.alloc(800_000, 'text ')]);

test('what scripts/seekable-zstd makes is read by zstd(1) as a whole, and by rdpull frame by frame', async () => {
  const file = directory.write('image.raw', image);
  const said = run([SCRIPT, '--frame=64KiB', '--level=3', file]).toString();
  const packed = fs.readFileSync(`${file}.zst`);
  expect(said).toBe(`${file}.zst: 23 frames, 1500000 -> ${packed.length} bytes\n`);
  expect(run(['zstd', '-dc', `${file}.zst`]).equals(image)).toBe(true);

  const read = async (offset: number, length: number) => packed.subarray(offset, offset + length);
  const found = await openBlockMap(packed.subarray(0, 512), { size: packed.length, read });
  if (found.kind !== 'map') throw new Error(found.reason);
  const { map } = found;
  expect(map).toMatchObject({ format: 'zstd', size: image.length, largestBlock: 64 * 1024 });
  using decoder = openBlockDecoder();
  for (let at = 0; at < map.size; ) {
    const { start, length, content } = await map.at(at);
    if (content.kind !== 'stored') throw new Error('nothing is stored');
    const output = new Uint8Array(length);
    decoder.decode(await read(content.offset, content.length), content.encoding, output);
    expect(image.subarray(start, start + length).equals(output)).toBe(true);
    at = start + length;
  }
});

test('it replaces nothing unasked, and leaves nothing behind', () => {
  const file = directory.write('again.raw', image);
  run([SCRIPT, file]);
  expect(() => run([SCRIPT, file])).toThrow('exists already: --force replaces it');
  run([SCRIPT, '--force', file]);
  expect(() => run([SCRIPT, directory.file('missing.raw')])).toThrow('seekable-zstd: ');
  expect(() => run([SCRIPT, '--frame=64MiB', file])).toThrow('give 4KiB to 32MiB');
  expect(directory.names().filter((name) => name.endsWith('.new'))).toEqual([]);
});
