import { expect, test } from 'bun:test';
import { createReadahead } from '../../../src/on-demand/fetch/readahead.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

test('who reads here and there is given no more than he wants', () => {
  const readahead = createReadahead();
  for (const offset of [5, 1, 9, 3, 7]) expect(readahead.wanted(offset * MIB, 4 * KIB)).toBe(0);
});

test('who reads on is given more each time, up to 4 MiB', () => {
  const readahead = createReadahead();
  expect(readahead.wanted(0, 128 * KIB)).toBe(0);
  const given: number[] = [];
  for (let at = 128 * KIB; given.length < 8; ) {
    const more = readahead.wanted(at, 128 * KIB);
    given.push(more / KIB);
    at += 128 * KIB + more;
  }
  expect(given).toEqual([128, 256, 512, 1024, 2048, 4096, 4096, 4096]);
});

test('several readers are told apart, and those that are not heard of are forgotten', () => {
  const readahead = createReadahead();
  for (const reader of [0, 1, 2, 3]) readahead.wanted(reader * 100 * MIB, 64 * KIB);
  for (const reader of [3, 1, 0, 2]) {
    expect(readahead.wanted(reader * 100 * MIB + 64 * KIB, 64 * KIB)).toBe(64 * KIB);
  }
  for (let other = 10; other < 20; other++) readahead.wanted(other * 100 * MIB, 4 * KIB);
  expect(readahead.wanted(192 * KIB, 64 * KIB)).toBe(0);
});
