import { describe, expect, test } from 'bun:test';
import { deflateRawSync } from 'node:zlib';
import { openBlockDecoder } from '../../src/blocks/block-decoder.ts';
import type { Encoding } from '../../src/blocks/block-map.ts';
import { run } from '../fixtures/run.ts';
import { SeededRandom } from '../request/seeded-random.ts';
import { imageOf } from './mapped-image.ts';

const PIECE = imageOf(new SeededRandom(1), 300_000);
const zstd = run(['zstd', '-q', '-c', '-1'], { input: PIECE });

const ENCODINGS: readonly (readonly [string, Encoding, Uint8Array])[] = [
  ['a zstd frame', { kind: 'zstd-frame', checksum: undefined }, zstd],
  ['a cluster of zstd', { kind: 'qcow2-cluster', compression: 'zstd' }, zstd],
  ['a cluster of deflate', { kind: 'qcow2-cluster', compression: 'deflate' }, deflateRawSync(PIECE)],
];

describe('a decoder that has failed in the middle takes the next block from its beginning:', () => {
  test.each(ENCODINGS)('%s', (_, encoding, stored) => {
    using decoder = openBlockDecoder();
    const output = new Uint8Array(PIECE.length);
    for (let cut = 1000; cut < stored.length; cut += 50_000) {
      expect(() => decoder.decode(stored.subarray(0, cut), encoding, output)).toThrow('corrupt');
      output.fill(0);
      decoder.decode(stored, encoding, output);
      expect(PIECE.equals(output)).toBe(true);
    }
  });
});
