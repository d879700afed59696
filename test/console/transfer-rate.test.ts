import { expect, test } from 'bun:test';
import { createRateMeter } from '../../src/console/transfer-rate.ts';

test('is the mean since the beginning, then that of the last five seconds', () => {
  const rateAt = createRateMeter(1000);
  expect(rateAt(2000, 1000)).toBe(1000);
  expect(rateAt(3000, 5000)).toBe(2500);
  for (let second = 3; second <= 8; second++) rateAt(1000 + second * 1000, 5000 + second);
  expect(rateAt(10_000, 5100)).toBeLessThan(30);
});

test('needs no time to have passed', () => {
  expect(createRateMeter(5)(5, 10)).toBe(10_000);
});
