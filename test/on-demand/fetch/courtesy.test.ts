import { expect, test } from 'bun:test';
import { createCourtesy } from '../../../src/on-demand/fetch/courtesy.ts';

const { signal } = new AbortController();

async function timeOf(action: Promise<void>): Promise<number> {
  const begun = performance.now();
  await action;
  return performance.now() - begun;
}

test('who fills waits for nobody where nobody reads', async () => {
  expect(await timeOf(createCourtesy().turn(signal))).toBeLessThan(10);
});

test('he waits for as long as somebody waits for a part, and for a moment in which he may ask for the next', async () => {
  const courtesy = createCourtesy();
  courtesy.enter();
  courtesy.enter();
  setTimeout(courtesy.leave, 60);
  setTimeout(courtesy.leave, 120);
  const waited = await timeOf(courtesy.turn(signal));
  expect(waited).toBeGreaterThan(135);
  expect(await timeOf(courtesy.turn(signal))).toBeLessThan(10);
});

test('he waits a quarter of a second at the beginning, and then a 20th of the time, however much is read', async () => {
  const courtesy = createCourtesy();
  courtesy.enter();
  const begun = performance.now();
  const first = await timeOf(courtesy.turn(signal));
  expect(first).toBeGreaterThan(240);
  expect(await timeOf(courtesy.turn(signal))).toBeLessThan(20);
  let waited = first;
  while (performance.now() - begun < 1500) {
    await Bun.sleep(50);
    waited += await timeOf(courtesy.turn(signal));
  }
  // A timer that comes late is taken from what there is later.
  expect(waited).toBeLessThan(250 + 0.05 * (performance.now() - begun) + 50);
});

test('he is told when all is to end', async () => {
  const ending = new AbortController();
  const courtesy = createCourtesy();
  courtesy.enter();
  setTimeout(() => ending.abort(new Error('over')), 20);
  expect(await courtesy.turn(ending.signal).catch((error: unknown) => error)).toMatchObject({
    message: 'over',
  });
});
