import { expect, test } from 'bun:test';
import { PAGE_BYTES, PresentPages } from '../../../src/on-demand/cache/present-pages.ts';
import { SeededRandom } from '../../request/seeded-random.ts';

test('a range is there when all pages that it touches are', () => {
  const pages = new PresentPages(100 * PAGE_BYTES);
  expect(pages.set(31 * PAGE_BYTES, 3 * PAGE_BYTES)).toBe(3);
  expect(pages.has(31 * PAGE_BYTES, 3 * PAGE_BYTES)).toBe(true);
  expect(pages.has(32 * PAGE_BYTES + 5, 1)).toBe(true);
  expect(pages.has(34 * PAGE_BYTES - 1, 1)).toBe(true);
  expect(pages.has(34 * PAGE_BYTES - 1, 2)).toBe(false);
  expect(pages.has(31 * PAGE_BYTES - 1, 2)).toBe(false);
  expect(pages.set(0, 100 * PAGE_BYTES)).toBe(97);
});

test('beyond the end of the image nothing is asked for', () => {
  const pages = new PresentPages(33 * PAGE_BYTES + 1);
  expect(pages.set(33 * PAGE_BYTES, 1)).toBe(1);
  expect(pages.has(33 * PAGE_BYTES, PAGE_BYTES)).toBe(true);
  expect(pages.has(33 * PAGE_BYTES, 1024 * PAGE_BYTES)).toBe(true);
  expect(pages.has(32 * PAGE_BYTES, PAGE_BYTES)).toBe(false);
});

test('another thread sees them, and no other image has them', () => {
  const pages = new PresentPages(70 * PAGE_BYTES);
  const seen = new PresentPages(70 * PAGE_BYTES, pages.bits);
  pages.set(64 * PAGE_BYTES, 1);
  expect(seen.has(64 * PAGE_BYTES, PAGE_BYTES)).toBe(true);
  expect(() => new PresentPages(700 * PAGE_BYTES, pages.bits)).toThrow(RangeError);
});

test('any ranges, as a list of pages has them', () => {
  const random = new SeededRandom(14);
  for (let run = 0; run < 50; run++) {
    const count = 1 + random.below(200);
    const size = count * PAGE_BYTES - random.below(PAGE_BYTES);
    const pages = new PresentPages(size);
    const model = new Set<number>();
    for (let step = 0; step < 40; step++) {
      const offset = random.below(size);
      const length = 1 + random.below(size - offset);
      const touched = Array.from(
        { length: Math.floor((offset + length - 1) / PAGE_BYTES) - Math.floor(offset / PAGE_BYTES) + 1 },
        (_, index) => Math.floor(offset / PAGE_BYTES) + index,
      );
      expect(pages.has(offset, length)).toBe(touched.every((page) => model.has(page)));
      if (random.below(3) > 0) continue;
      expect(pages.set(offset, length)).toBe(touched.filter((page) => !model.has(page)).length);
      for (const page of touched) model.add(page);
    }
  }
});
