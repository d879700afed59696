import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { printable } from '../../src/console/printable.ts';
import { always, requirePrintable } from '../fixtures/property.ts';

test('any text becomes one that can be printed; what can be printed stays', () => {
  always(fc.oneof(fc.string({ unit: 'binary', maxLength: 400 }), fc.string()), (text) => {
    const shown = printable(text);
    requirePrintable(shown);
    if (text.length <= 300) expect(printable(shown.slice(0, 300))).toBe(shown.slice(0, 300));
  });
});
