import { expect, test } from 'bun:test';
import { parseContentRange } from '../../src/source/content-range.ts';

test.each([
  ['bytes 0-0/1', { range: { from: 0, to: 0 }, size: 1 }],
  ['bytes 7-99/100', { range: { from: 7, to: 99 }, size: 100 }],
  ['BYTES 7-9/*', { range: { from: 7, to: 9 }, size: undefined }],
  ['bytes */100', { range: undefined, size: 100 }],
])('%s', (header, expected) => {
  expect(parseContentRange(header)).toEqual(expected);
});

test.each([
  undefined,
  '',
  'bytes',
  'bytes 7-100/100',
  'bytes 9-7/100',
  'bytes -7/100',
  'bytes 7-/100',
  'bytes=7-9/100',
  'items 7-9/100',
  'bytes 7-9/100, 11-12/100',
  'bytes 0-9999999999999999/99999999999999999',
])('%p says nothing', (header) => {
  expect(parseContentRange(header)).toBeUndefined();
});
