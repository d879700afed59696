import { expect, test } from 'bun:test';
import { startPulse } from '../../src/on-demand/pulse.ts';

const NEVER = new Promise<never>(() => undefined);
const { signal } = new AbortController();

test('at each beat the first thing is done first, then what was added, until it is taken back', async () => {
  const done: string[] = [];
  using pulse = startPulse(() => void done.push('first'));
  {
    using _added = pulse.each(() => void done.push('added'));
    while (done.length < 4) await Bun.sleep(10);
  }
  expect(done.slice(0, 4)).toEqual(['first', 'added', 'first', 'added']);
  done.length = 0;
  while (done.length === 0) await Bun.sleep(10);
  expect(done).toEqual(['first']);
});

test('what is waited for is looked at at once, behind the first thing, and then at each beat', async () => {
  let firsts = 0;
  let looks = 0;
  using pulse = startPulse(() => {
    firsts++;
  });
  expect(await pulse.until(() => firsts === 1, NEVER, signal)).toBe(true);
  expect(await pulse.until(() => ++looks === 3, NEVER, signal)).toBe(true);
  expect(firsts).toBe(4);
});

test('it is waited for until the end comes first, or the signal, or the look fails', async () => {
  using pulse = startPulse(() => undefined);
  const end = Promise.withResolvers<void>();
  const waiting = pulse.until(() => false, end.promise, signal);
  end.reject(new Error('it is detached'));
  expect(await waiting).toBe(false);
  expect(await pulse.until(() => true, end.promise, signal)).toBe(true);

  const ending = new AbortController();
  const aborted = pulse.until(() => false, NEVER, ending.signal);
  ending.abort(new Error('interrupted'));
  expect(aborted).rejects.toThrow('interrupted');
  expect(pulse.until(() => true, NEVER, ending.signal)).rejects.toThrow('interrupted');
  const failing = () => {
    throw new Error('/proc is away');
  };
  expect(pulse.until(failing, NEVER, signal)).rejects.toThrow('/proc is away');
});
