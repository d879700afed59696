import { expect, test } from 'bun:test';
import { requestedPart } from '../../src/serve/range.ts';

test.each([
  ['bytes=0-0', { start: 0, end: 1 }],
  ['bytes=90-', { start: 90, end: 100 }],
  ['bytes=90-1000', { start: 90, end: 100 }],
  ['bytes=-10', { start: 90, end: 100 }],
  ['bytes=-1000', { start: 0, end: 100 }],
  ['bytes=100-', 'unsatisfiable'],
  ['bytes=-0', 'unsatisfiable'],
  ['bytes=5-4', undefined],
  ['bytes=0-1,5-6', undefined],
  ['bytes=-', undefined],
  ['lines=0-1', undefined],
  [undefined, undefined],
] as const)('%p of 100 bytes', (header, part) => {
  expect(requestedPart(header, 100)).toEqual(part);
});
