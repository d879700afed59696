import { describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { openChunkDigests } from '../../src/blocks/chunk-hashing.ts';
import { noiseOf } from '../fixtures/noise.ts';

/** NIST, "Examples with Intermediate Values": SHA-512/256 of one block, and of two. */
const EXAMPLES = [
  ['abc', '53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23'],
  [
    'abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu',
    '3928e184fb8690f840da3988121d31be65cb9d3ef83ee6146feac861e19b563a',
  ],
] as const;

/** Of openssl(1): a maker of its own. */
function opensslDigest(bytes: Uint8Array, algorithm: string): string {
  const { stdout } = spawnSync('openssl', ['dgst', `-${algorithm}`, '-r'], {
    input: bytes,
    encoding: 'utf8',
  });
  return stdout.slice(0, 64);
}

describe('digests of many chunks at once', () => {
  test('are those of the standard', () => {
    const chunks = EXAMPLES.map(([text]) => Buffer.from(text));
    expect(openChunkDigests('sha512-256').of(chunks)).toEqual(EXAMPLES.map(([, digest]) => digest));
  });

  test('are those of each chunk alone, however long it is, and whatever is beside it', () => {
    const digests = openChunkDigests('sha512-256');
    // A block is of 128 bytes, and 17 of the last one are for the end.
    const lengths = Array.from({ length: 2 * 128 + 20 }, (_, length) => length);
    const chunks = lengths.map((length, index) => noiseOf(length, index));
    const alone = chunks.map((chunk) => new Bun.CryptoHasher('sha512-256').update(chunk).digest('hex'));
    for (const count of [1, 2, 3, 4, 5, 9, chunks.length]) {
      for (let from = 0; from < chunks.length; from += count)
        expect(digests.of(chunks.slice(from, from + count))).toEqual(alone.slice(from, from + count));
    }
  });

  test.each(['sha512-256', 'sha256'] as const)('are those of openssl: %s', (algorithm) => {
    const chunks = [200_000, 1, 65_536, 4095, 1_000_001, 70_000].map((length, index) =>
      noiseOf(length, index),
    );
    const expected = chunks.map((chunk) => opensslDigest(chunk, algorithm));
    expect(openChunkDigests(algorithm).of(chunks)).toEqual(expected);
  });

  test('are others when any bit is, and those of the chunks beside it stay', () => {
    const digests = openChunkDigests('sha512-256');
    const chunks = Array.from({ length: 5 }, (_, index) => noiseOf(300, index));
    const before = digests.of(chunks);
    for (let bit = 0; bit < 300 * 8; bit += 37) {
      const changed = chunks.map((chunk) => Buffer.from(chunk));
      const [, , chunk] = changed;
      if (chunk === undefined) throw new Error('there is no third chunk');
      chunk[bit >> 3] = (chunk[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const after = digests.of(changed);
      expect(after.map((digest, number) => digest === before[number])).toEqual([
        true,
        true,
        false,
        true,
        true,
      ]);
    }
  });

  test('of no chunks are none', () => {
    expect(openChunkDigests('sha512-256').of([])).toEqual([]);
  });
});
