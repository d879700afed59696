import { afterEach, beforeEach, expect, test } from 'bun:test';
import fs from 'node:fs';
import { RdpullError } from '../../../src/console/rdpull-error.ts';
import { openRawImageSink } from '../../../src/transfer/sink/raw-image.ts';
import { noiseOf } from '../../fixtures/noise.ts';
import { TemporaryDirectory } from '../../fixtures/temporary-directory.ts';

let directory: TemporaryDirectory;
beforeEach(() => {
  directory = new TemporaryDirectory();
});
afterEach(() => directory[Symbol.dispose]());

/** Writes `content` in chunks of `chunkBytes`, and gives back the file. */
async function write(content: Uint8Array, chunkBytes: number): Promise<{ bytes: Buffer; allocated: number }> {
  const file = directory.file(`image-${chunkBytes}`);
  const sink = openRawImageSink(file);
  for (let at = 0; at < content.length; at += chunkBytes)
    await sink.write(content.subarray(at, at + chunkBytes));
  expect(await sink.finish()).toEqual({ bytes: content.length, entries: 1 });
  await sink.close();
  const written = { bytes: fs.readFileSync(file), allocated: fs.statSync(file).blocks * 512 };
  fs.rmSync(file);
  return written;
}

const MIB = 1024 * 1024;

test('zeros between data become holes, whatever the size of the chunks', async () => {
  const content = Buffer.concat([noiseOf(10_000), Buffer.alloc(3 * MIB), noiseOf(5, 1), Buffer.alloc(MIB)]);
  for (const chunkBytes of [1000, 4096, 65_537, MIB, content.length]) {
    const { bytes, allocated } = await write(content, chunkBytes);
    expect(bytes.equals(content)).toBe(true);
    expect(allocated).toBeLessThan(64 * 1024);
  }
});

test('a single byte in a block of zeros is kept, wherever it stands', async () => {
  for (const at of [0, 1, 2047, 4094, 4095]) {
    const content = Buffer.alloc(3 * 4096);
    content[4096 + at] = 7;
    expect((await write(content, 4096)).bytes.equals(content)).toBe(true);
  }
});

test('an image of nothing but zeros has its length and no blocks', async () => {
  const { bytes, allocated } = await write(new Uint8Array(5 * MIB + 17), MIB);
  expect(bytes.length).toBe(5 * MIB + 17);
  expect(allocated).toBe(0);
});

test('a file that exists is never written to', async () => {
  const file = directory.write('image', 'precious');
  expect(() => openRawImageSink(file)).toThrow(RdpullError);
  expect(fs.readFileSync(file, 'utf8')).toBe('precious');
});

test('nobody else may read an image before it is verified', async () => {
  const file = directory.file('image');
  await openRawImageSink(file).close();
  expect(fs.statSync(file).mode & 0o777).toBe(0o600);
});

test('chunks may be handed over while those before them are being written', async () => {
  const content = noiseOf(3 * MIB, 2);
  const file = directory.file('image');
  const sink = openRawImageSink(file);
  for (let at = 0; at < content.length; at += 5000) void sink.write(content.subarray(at, at + 5000));
  await sink.finish();
  await sink.close();
  expect(fs.readFileSync(file).equals(content)).toBe(true);
});

test('a file is closed only when nothing is being written any more', async () => {
  const content = noiseOf(8 * MIB, 3);
  const file = directory.file('image');
  const sink = openRawImageSink(file);
  const written = sink.write(content);
  await sink.close();
  await written;
  expect(fs.readFileSync(file).equals(content)).toBe(true);
});
