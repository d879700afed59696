import { expect, test } from 'bun:test';
import { createCourtesy } from '../../../src/on-demand/fetch/courtesy.ts';

const { signal } = new AbortController();
/** ms */
const LONG = 60_000;

async function timeOf(action: Promise<void>): Promise<number> {
  const begun = performance.now();
  await action;
  return performance.now() - begun;
}

test('who fills waits for nobody where nobody reads', async () => {
  expect(await timeOf(createCourtesy().turn(LONG, signal))).toBeLessThan(10);
});

test('he waits for as long as somebody waits for a part, and for a moment in which he may ask for the next', async () => {
  const courtesy = createCourtesy();
  courtesy.enter();
  courtesy.enter();
  setTimeout(courtesy.leave, 60);
  setTimeout(courtesy.leave, 120);
  const waited = await timeOf(courtesy.turn(LONG, signal));
  expect(waited).toBeGreaterThan(135);
  expect(await timeOf(courtesy.turn(LONG, signal))).toBeLessThan(10);
});

test('he waits a 25th of the time that the whole takes, however much is read', async () => {
  const courtesy = createCourtesy();
  courtesy.enter();
  const whole = 5000;
  const waited = await timeOf(courtesy.turn(whole, signal));
  expect(waited).toBeGreaterThan(190);
  expect(await timeOf(courtesy.turn(whole, signal))).toBeLessThan(10);
});

test('he is told when all is to end', async () => {
  const ending = new AbortController();
  const courtesy = createCourtesy();
  courtesy.enter();
  setTimeout(() => ending.abort(new Error('over')), 20);
  expect(await courtesy.turn(LONG, ending.signal).catch((error: unknown) => error)).toMatchObject({
    message: 'over',
  });
});
