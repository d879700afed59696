import { expect, test } from 'bun:test';
import { keepBytes } from '../../src/source/kept-bytes.ts';

test('bytes that come one by one are one buffer, which grows with them and no further', () => {
  const most = 1_000_000;
  const kept = keepBytes(most);
  for (let count = 0; count < most; count++) expect(kept.add(Uint8Array.of(count % 251))).toBe(true);
  expect(kept.add(Uint8Array.of(0))).toBe(false);
  expect(kept.length).toBe(most);
  expect(kept.bytes().length).toBe(most);
  expect(kept.bytes().buffer.byteLength).toBeLessThanOrEqual(2 * most);
  expect(kept.bytes().every((byte, index) => byte === index % 251)).toBe(true);
});

test('a length that was said before does not take more than may be kept', () => {
  expect(keepBytes(1000, 2 ** 40).bytes().buffer.byteLength).toBe(1000);
});

test('what would be too long is not taken, not even in part', () => {
  const kept = keepBytes(4);
  expect(kept.add(Buffer.from('abc'))).toBe(true);
  expect(kept.add(Buffer.from('de'))).toBe(false);
  expect(Buffer.from(kept.bytes()).toString()).toBe('abc');
});
