import { expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import zlib from 'node:zlib';
import { startDigest } from '../../src/source/running-digest.ts';
import { noiseOf } from '../fixtures/noise.ts';

const BYTES = noiseOf(100_000);

/** What each says at the end, and halfway, when the bytes come in pieces. */
test.each([
  ['sha256', (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')],
  ['crc32', (bytes: Uint8Array) => zlib.crc32(bytes).toString(16).padStart(8, '0')],
] as const)('%s is that of all so far, however the bytes came', (kind, ofAll) => {
  for (const size of [1, 777, 65_536]) {
    const digest = startDigest(kind);
    for (let at = 0; at < BYTES.length; at += size) {
      const end = Math.min(at + size, BYTES.length);
      digest.update(BYTES.subarray(at, end));
      if (at % 7 === 0) expect(digest.value()).toBe(ofAll(BYTES.subarray(0, end)));
      if (size === 1 && at > 300) break;
    }
    if (size > 1) expect(digest.value()).toBe(ofAll(BYTES));
  }
});
