import { expect, test } from 'bun:test';
import { nearest } from '../../src/request/nearest.ts';

const VALID = ['raw', 'tar', 'machine', 'portable', 'ro', 'rw', 'blockdev', 'bootorigin'];

test.each<[string, string | undefined]>([
  ['rww', 'raw'],
  ['Machine', 'machine'],
  ['machin', 'machine'],
  ['mashien', undefined],
  ['mahcine', 'machine'],
  ['port', 'portable'],
  ['blckdev', 'blockdev'],
  ['b', undefined],
  ['xy', undefined],
  ['', undefined],
  ['something else', undefined],
  [`machine${'x'.repeat(100_000)}`, undefined],
])('%.20j is probably %p', (text, meant) => {
  expect(nearest(text, VALID)).toBe(meant);
});
