import { expect, test } from 'bun:test';
import { PAGE_BYTES, PresentPages } from '../../../src/on-demand/cache/present-pages.ts';
import { createCoveredPages } from '../../../src/on-demand/fetch/covered-pages.ts';
import { SeededRandom } from '../../request/seeded-random.ts';

test('a page that two blocks share is there when both are', () => {
  const present = new PresentPages(3 * PAGE_BYTES);
  const covered = createCoveredPages(present, 3 * PAGE_BYTES);
  covered.cover(0, 5000);
  expect(present.has(0, PAGE_BYTES)).toBe(true);
  expect(present.has(PAGE_BYTES, 1)).toBe(false);
  expect(covered.has(0, 5000)).toBe(true);
  expect(covered.has(0, 5001)).toBe(false);
  covered.cover(5000, 7288);
  expect(present.has(0, 3 * PAGE_BYTES)).toBe(true);
  expect(covered.bytes).toBe(3 * PAGE_BYTES);
});

test('any pieces, in any order, also twice', () => {
  const random = new SeededRandom(7);
  for (let run = 0; run < 60; run++) {
    const size = 1 + random.below(10 * PAGE_BYTES);
    const present = new PresentPages(size);
    const covered = createCoveredPages(present, size);
    const model = new Uint8Array(size);
    for (let step = 0; step < 60; step++) {
      const start = random.below(size);
      const length = 1 + random.below(Math.min(size - start, random.pick([100, 3000, 20_000])));
      expect(covered.has(start, length)).toBe(
        model.subarray(start, start + length).every((byte) => byte === 1),
      );
      covered.cover(start, length);
      model.fill(1, start, start + length);
      let bytes = 0;
      for (let page = 0; page < size; page += PAGE_BYTES) {
        const whole = model.subarray(page, page + PAGE_BYTES).every((byte) => byte === 1);
        expect(present.has(page, 1)).toBe(whole);
        if (whole) bytes += Math.min(PAGE_BYTES, size - page);
      }
      expect(covered.bytes).toBe(bytes);
    }
  }
});
