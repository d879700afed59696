import { expect, test } from 'bun:test';
import { createFillPace } from '../../../src/on-demand/fetch/fill-pace.ts';

const MB = 1e6;

/** A pace that has measured requests, each of so many bytes in so many ms, whose first bytes took so many ms. */
function paceOf(bytes: number, milliseconds: number, latency: number) {
  const pace = createFillPace(undefined);
  for (let request = 0; request < 40; request++) pace.measured(bytes, milliseconds, latency);
  return pace;
}

test('one request is a tenth of a second of the network, within bounds', () => {
  expect(createFillPace(undefined).requestBytes).toBe(256 * 1024);
  expect(paceOf(MB, 100, 0).requestBytes).toBeCloseTo(MB, 0);
  expect(paceOf(MB, 10_000, 0).requestBytes).toBe(64 * 1024);
  expect(paceOf(MB, 1, 0).requestBytes).toBe(4 * 1024 * 1024);
});

test('on a slow network there is one at a time; on a fast one as many as hide the time that an answer takes to begin', () => {
  expect(createFillPace(undefined).atOnce).toBe(1);
  expect(paceOf(100_000, 100, 1000).atOnce).toBe(1);
  expect(paceOf(MB, 100, 1).atOnce).toBe(2);
  expect(paceOf(MB, 100, 90).atOnce).toBe(2);
  expect(paceOf(MB, 100, 190).atOnce).toBe(3);
  expect(paceOf(MB, 100, 5000).atOnce).toBe(4);
});

test('who was held up for a moment asks for as much the next time, nearly', () => {
  const pace = paceOf(MB, 100, 10);
  pace.measured(MB, 1000, 10);
  expect(pace.requestBytes).toBeGreaterThan(0.9 * MB);
  for (let request = 0; request < 40; request++) pace.measured(MB, 1000, 10);
  expect(pace.requestBytes).toBeLessThan(0.12 * MB);
});

test('a limit makes requests smaller, and the next one wait', () => {
  const pace = createFillPace(MB);
  expect(pace.requestBytes).toBeCloseTo(0.1 * MB, 0);
  expect(pace.pause).toBe(0);
  pace.spent(0.5 * MB);
  expect(pace.pause).toBeGreaterThan(450);
});
