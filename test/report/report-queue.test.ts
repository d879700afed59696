import { expect, test } from 'bun:test';
import {
  type EventLine,
  encodeReport,
  REPORT_BYTES_MAX,
  REPORT_LINES_MAX,
} from '../../src/report/report-line.ts';
import { ReportQueue } from '../../src/report/report-queue.ts';

const event = (name: EventLine['event'], at: number, target = 'x'): EventLine => ({
  event: name,
  at,
  target,
});

test('newer progress takes the place of older, of the same image', () => {
  const queue = new ReportQueue();
  queue.add(event('pull-started', 1));
  for (let at = 2; at < 1000; at++) queue.add(event('progress', at));
  queue.add(event('progress', 1000, 'other'));
  expect(queue.take().map(({ at }) => at)).toEqual([1, 999, 1000]);
  expect(queue.isEmpty).toBe(true);
});

test('what could not be sent comes first again, without the progress in it', () => {
  const queue = new ReportQueue();
  queue.add(event('pull-started', 1));
  queue.add(event('progress', 2));
  const taken = queue.take();
  queue.add(event('failed', 3));
  queue.putBack(taken);
  expect(queue.take().map(({ at }) => at)).toEqual([1, 3]);
});

test('it never holds more than one report has lines for, and keeps what came last', () => {
  const queue = new ReportQueue();
  for (let at = 0; at < 10_000; at++) queue.add(event('server-awaited', at));
  const lines = queue.take();
  expect(lines.length).toBe(REPORT_LINES_MAX - 1);
  expect(lines.at(-1)?.at).toBe(9999);
});

test('a report has one line for each, is free of secrets, and long texts are cut', () => {
  const long = 'x'.repeat(100_000);
  const text = encodeReport({ boot: 'b' }, [
    { event: 'failed', at: 1, message: 'http://user:hunter2@host/x?token=hunter2 failed', hint: long },
  ]);
  expect(text).not.toContain('hunter2');
  expect(text.split('\n').length).toBe(3);
  expect(text.length).toBeLessThan(REPORT_BYTES_MAX);
});
