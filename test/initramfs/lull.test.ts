import { expect, test } from 'bun:test';
import { lull } from '../../src/initramfs/lull.ts';

/** What /proc/stat says from look to look: the share of idle time in each, of 100 ticks. */
function machine(idle: readonly number[]): { readonly read: () => string; readonly looks: () => number } {
  let looks = 0;
  let [busy, free] = [5000, 700];
  const read = () => {
    const share = looks === 0 ? 0 : (idle[looks - 1] ?? idle.at(-1) ?? 0);
    looks++;
    free += share;
    busy += 100 - share;
    return `cpu  ${busy} 0 0 ${free} 0 0 0 0 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\nintr 1\n`;
  };
  return { read, looks: () => looks };
}

test('ends when most of the time was idle', async () => {
  const { read, looks } = machine([0, 10, 49, 50, 0]);
  await lull(read, new AbortController().signal, 1);
  expect(looks()).toBe(5);
});

test('a machine that is always busy is not waited for without end', async () => {
  const { read } = machine([0]);
  const begun = performance.now();
  await lull(read, new AbortController().signal, 10, 300);
  expect(performance.now() - begun).toBeWithin(299, 5000);
});

test('ends when it is told to', async () => {
  const { read, looks } = machine([0]);
  await lull(read, AbortSignal.abort(), 1);
  expect(looks()).toBe(2);
});

test('reads what this machine has', async () => {
  const { readFileSync } = await import('node:fs');
  await lull(() => readFileSync('/proc/stat', 'utf8'), new AbortController().signal, 20, 200);
});
