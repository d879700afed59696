import { describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { openBlockDecoder } from '../../../../src/blocks/block-decoder.ts';
import { openChunkBatch } from '../../../../src/on-demand/fetch/bulk/chunk-batch.ts';
import type { BulkChunk } from '../../../../src/on-demand/fetch/bulk/messages.ts';
import { noiseOf } from '../../../fixtures/noise.ts';
import { TemporaryDirectory } from '../../../fixtures/temporary-directory.ts';

const MIB = 1024 * 1024;

/** Chunks that follow each other in an image, with what a store has of each. */
function chunksOf(lengths: readonly number[]) {
  let start = 0;
  return lengths.map((length, index) => {
    const bytes = noiseOf(length, index);
    const digest = new Bun.CryptoHasher('sha512-256').update(bytes).digest('hex');
    const { stdout: stored } = spawnSync('zstd', ['-qc'], { input: bytes, maxBuffer: 16 * MIB });
    const chunk: BulkChunk = { start, length, digest, otherStarts: [] };
    start += length;
    return { chunk, bytes, stored };
  });
}

/** Adds what comes to a batch over a file. @returns what was said of each, in order, how much of it before the end, and what is in the file */
function batchOf(
  average: number,
  came: readonly (readonly [BulkChunk, Uint8Array | undefined])[],
  flags = 'w+',
) {
  using directory = new TemporaryDirectory();
  using decoder = openBlockDecoder();
  const file = directory.write('image', '');
  const fd = fs.openSync(file, flags);
  const said: [start: number, isGood: boolean][] = [];
  let early = 0;
  let failure: unknown;
  try {
    const batch = openChunkBatch({ fd, algorithm: 'sha512-256', average }, decoder, ({ start }, isGood) => {
      said.push([start, isGood]);
    });
    for (const [chunk, stored] of came) batch.add(chunk, stored);
    early = said.length;
    batch.settle();
    expect(batch.isEmpty).toBe(true);
  } catch (error) {
    failure = error;
  } finally {
    fs.closeSync(fd);
  }
  return { said, early, failure, content: fs.readFileSync(file) };
}

describe('chunks that came', () => {
  test('are in the file when they are told of, and not one by one', () => {
    const chunks = chunksOf([1000, 70_000, 5, 30_000]);
    const { said, early, failure, content } = batchOf(
      16_384,
      chunks.map(({ chunk, stored }) => [chunk, stored]),
    );
    expect(failure).toBeUndefined();
    expect(early).toBe(0);
    expect(said).toEqual(chunks.map(({ chunk }) => [chunk.start, true]));
    expect(content.equals(Buffer.concat(chunks.map(({ bytes }) => bytes)))).toBe(true);
  });

  test('are in their places in any order, and when they are more than the memory takes', () => {
    const chunks = chunksOf(Array.from({ length: 30 }, (_, number) => 20_000 + 3000 * number));
    const turned = [...chunks.slice(12), ...chunks.slice(0, 12)];
    const { said, early, content } = batchOf(
      16_384,
      turned.map(({ chunk, stored }) => [chunk, stored]),
    );
    expect(early).toBeGreaterThan(10);
    expect(said).toEqual(turned.map(({ chunk }) => [chunk.start, true]));
    expect(content.equals(Buffer.concat(chunks.map(({ bytes }) => bytes)))).toBe(true);
  });

  test('may each be larger than the memory', () => {
    const chunks = chunksOf([3 * MIB, 10, 2 * MIB]);
    const { said, content } = batchOf(
      16_384,
      chunks.map(({ chunk, stored }) => [chunk, stored]),
    );
    expect(said.every(([, isGood]) => isGood)).toBe(true);
    expect(content.equals(Buffer.concat(chunks.map(({ bytes }) => bytes)))).toBe(true);
  });

  test('are not written when they are missing, damaged, cut, or others; those beside them are', () => {
    const chunks = chunksOf(Array.from({ length: 8 }, () => 10_000));
    const [first] = chunks;
    const spoilt: readonly ((stored: Buffer) => Buffer | undefined)[] = [
      (stored) => stored,
      () => undefined,
      (stored) => stored.subarray(0, -3),
      () => first?.stored,
      (stored) => Buffer.concat([stored, stored]),
      (stored) => Buffer.concat([stored, Buffer.from('more')]),
      () => Buffer.alloc(0),
      (stored) => stored,
    ];
    const { said, content } = batchOf(
      16_384,
      chunks.map(({ chunk, stored }, number) => [chunk, spoilt[number]?.(stored)]),
    );
    expect(said.map(([, isGood]) => isGood)).toEqual([true, ...Array(6).fill(false), true]);
    expect(content.subarray(10_000, 70_000).equals(Buffer.alloc(60_000))).toBe(true);
    expect(content.subarray(70_000).equals(chunks[7]?.bytes ?? Buffer.alloc(0))).toBe(true);
  });

  test('that are not packed are good as well, among others', () => {
    const chunks = chunksOf([4096, 8192, 100]);
    const { said, content } = batchOf(
      16_384,
      chunks.map(({ chunk, stored, bytes }, number) => [chunk, number === 1 ? bytes : stored]),
    );
    expect(said.every(([, isGood]) => isGood)).toBe(true);
    expect(content.equals(Buffer.concat(chunks.map(({ bytes }) => bytes)))).toBe(true);
  });

  test('are in all places that have the same bytes, and in none when they are others', () => {
    const [good, bad] = chunksOf([5000, 3000]);
    if (good === undefined || bad === undefined) throw new Error('two chunks');
    const { said, content } = batchOf(16_384, [
      [{ ...good.chunk, otherStarts: [20_000, 8000] }, good.stored],
      [{ ...bad.chunk, otherStarts: [30_000] }, good.stored],
    ]);
    expect(said).toEqual([
      [good.chunk.start, true],
      [bad.chunk.start, false],
    ]);
    expect(content.length).toBe(25_000);
    for (const at of [0, 8000, 20_000]) expect(content.subarray(at, at + 5000).equals(good.bytes)).toBe(true);
    expect(content.subarray(5000, 8000).equals(Buffer.alloc(3000))).toBe(true);
  });

  test('have not come when nothing can be written', () => {
    const chunks = chunksOf([1000, 1000]);
    const { said, failure } = batchOf(
      16_384,
      chunks.map(({ chunk, stored }) => [chunk, stored]),
      'r',
    );
    expect(failure).toMatchObject({ code: 'EBADF' });
    expect(said.map(([, isGood]) => isGood)).toEqual([false, false]);
  });
});
