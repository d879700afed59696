import { expect, test } from 'bun:test';
import { duration, size } from '../../src/console/quantity.ts';

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.0 KiB'],
  [33_161_216, '31.6 MiB'],
  [536_870_912, '512 MiB'],
  [1_181_116_006, '1.1 GiB'],
  [5e15, '4547 TiB'],
])('%p bytes are %p', (bytes, text) => expect(size(bytes)).toBe(text));

test.each([
  [0, '0.0 s'],
  [840, '0.8 s'],
  [12_400, '12 s'],
  [185_000, '3 min 5 s'],
  [8_040_000, '2 h 14 min'],
])('%p ms are %p', (milliseconds, text) => expect(duration(milliseconds)).toBe(text));
