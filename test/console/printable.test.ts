import { expect, test } from 'bun:test';
import { printable, quoted } from '../../src/console/printable.ts';

test.each<[string, string]>([
  ['http://h/a b?c=ä', 'http://h/a b?c=ä'],
  ['a\\:b', 'a\\:b'],
  ['\x1b[2J\x07\r\n\t\0\x7f', '\\x1b[2J\\x07\\x0d\\x0a\\x09\\x00\\x7f'],
  ['\x9b31m', '\\x9b31m'],
  ['gpj.\u202eexe', 'gpj.\\u{202e}exe'],
  ['a\u200bb\ufeff\u2028', 'a\\u{200b}b\\u{feff}\\u{2028}'],
  ['\ud83d', '\\u{d83d}'],
  ['😀', '😀'],
])('%j is shown as %s', (text, shown) => {
  expect(printable(text)).toBe(shown);
  expect(quoted(text)).toBe(`"${shown}"`);
});

test('cuts what no console line could hold', () => {
  expect(printable('x'.repeat(300))).toBe('x'.repeat(300));
  expect(printable('x'.repeat(301))).toBe(`${'x'.repeat(300)}…`);
});
