import { expect, test } from 'bun:test';
import { printable, quoted } from '../../src/verify/printable.ts';

test('makes control characters, direction marks and line separators visible', () => {
  expect(printable('a\u{1b}[2Jb\n\u{9b}\u{202e}c\u{2028}')).toBe(
    'a\\u{1b}[2Jb\\u{a}\\u{9b}\\u{202e}c\\u{2028}',
  );
});

test('leaves letters alone', () => {
  expect(quoted('Jürgen 北京 <j@x>')).toBe('"Jürgen 北京 <j@x>"');
});

test('cuts what is long', () => {
  expect(printable('x'.repeat(500))).toBe(`${'x'.repeat(120)}…`);
});
