import { expect, test } from 'bun:test';
import { precondition, rangeHolds } from '../../src/serve/preconditions.ts';

const validators = { tag: '"a"', modified: Date.parse('2026-11-24T05:00:00.500Z') };
const SAME = 'Tue, 24 Nov 2026 05:00:00 GMT';
const EARLIER = 'Tue, 24 Nov 2026 04:59:59 GMT';

test.each([
  [{}, 'holds'],
  [{ 'if-none-match': '"a"' }, 'not modified'],
  [{ 'if-none-match': '"b", W/"a"' }, 'not modified'],
  [{ 'if-none-match': '"b"', 'if-modified-since': SAME }, 'holds'],
  [{ 'if-modified-since': SAME }, 'not modified'],
  [{ 'if-modified-since': EARLIER }, 'holds'],
  [{ 'if-modified-since': 'yesterday' }, 'holds'],
  [{ 'if-match': '"b"' }, 'failed'],
  [{ 'if-match': 'W/"a"' }, 'failed'],
  [{ 'if-match': '"a"', 'if-unmodified-since': EARLIER }, 'holds'],
  [{ 'if-match': '*' }, 'holds'],
  [{ 'if-unmodified-since': EARLIER }, 'failed'],
] as const)('%j', (headers, outcome) => {
  expect(precondition(headers, validators)).toBe(outcome);
});

test('a range counts only for the same strong tag, never by a date', () => {
  expect(rangeHolds({}, '"a"')).toBe(true);
  expect(rangeHolds({ 'if-range': '"a"' }, '"a"')).toBe(true);
  expect(rangeHolds({ 'if-range': 'W/"a"' }, '"a"')).toBe(false);
  expect(rangeHolds({ 'if-range': SAME }, '"a"')).toBe(false);
});
