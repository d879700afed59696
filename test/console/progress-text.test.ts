import { describe, expect, test } from 'bun:test';
import {
  type ProgressState,
  progressBar,
  progressLine,
  screenLine,
  statusLine,
} from '../../src/console/progress-text.ts';

const MIB = 1024 * 1024;
const HALF: ProgressState = {
  name: 'image.raw',
  source: '192.168.100.1:8081',
  received: 79 * MIB,
  total: 158 * MIB,
  decoded: 210 * MIB,
  expected: 512 * MIB,
  rate: 11.2 * MIB,
};

describe('a line', () => {
  test('says how much, how fast, how long and from where', () => {
    expect(progressLine(HALF)).toBe(
      'image.raw: 50 %, 79.0 of 158 MiB, 210 of 512 MiB written, 11.2 MiB/s, 7.1 s left, 192.168.100.1:8081',
    );
  });

  test('of unknown length says what is known', () => {
    expect(progressLine({ ...HALF, total: undefined, expected: undefined })).toBe(
      'image.raw: 79.0 MiB, 210 MiB written, 11.2 MiB/s, 192.168.100.1:8081',
    );
  });

  test('of a file has no server, and of what is not compressed one figure', () => {
    expect(progressLine({ ...HALF, source: undefined, decoded: 78 * MIB, expected: 158 * MIB })).toBe(
      'image.raw: 50 %, 79.0 of 158 MiB, 11.2 MiB/s, 7.1 s left',
    );
  });

  test('of what became larger than it was to be at least says only how large it is', () => {
    expect(progressLine({ ...HALF, decoded: 513 * MIB })).toContain(', 513 MiB written, ');
  });

  test('of a stalled transfer promises no end', () => {
    expect(progressLine({ ...HALF, rate: 0 })).toEndWith(' written, 0 B/s, 192.168.100.1:8081');
  });

  test('never says more than 100 %', () => {
    expect(progressLine({ ...HALF, received: 200 * MIB })).toContain('100 %');
  });
});

test('for systemd, which cuts out the middle, ends with what matters most', () => {
  expect(statusLine(HALF)).toBe(
    'image.raw: 192.168.100.1:8081, 79.0 of 158 MiB, 11.2 MiB/s, 50 %, 7.1 s left',
  );
  expect(statusLine({ ...HALF, total: undefined, expected: undefined })).toBe(
    'image.raw: 192.168.100.1:8081, 79.0 MiB, 11.2 MiB/s',
  );
  // What is unpacked tells how much will come.
  expect(statusLine({ ...HALF, total: undefined })).toBe(
    'image.raw: 192.168.100.1:8081, 79.0 MiB, 11.2 MiB/s, 41 %, 10 s left',
  );
  expect(statusLine({ ...HALF, total: undefined, decoded: 0 })).toBe(
    'image.raw: 192.168.100.1:8081, 79.0 MiB, 11.2 MiB/s',
  );
});

describe('on a console that many write to', () => {
  test.each<[number, string]>([
    [
      200,
      'rdpull: image.raw: 50 %, 79.0 of 158 MiB, 210 of 512 MiB written, 11.2 MiB/s, 7.1 s left, 192.168.100.1:8081',
    ],
    [79, 'image.raw: 50 %, 79.0 of 158 MiB, 11.2 MiB/s, 7.1 s left, 192.168.100.1:8081'],
    [60, 'image.raw: 50 %, 79.0 of 158 MiB, 11.2 MiB/s, 7.1 s left'],
    [39, 'image.raw: 50 %, 11.2 MiB/s, 7.1 s left'],
    [16, 'image.raw: 50 %'],
    [5, 'image'],
  ])('what matters least is left out first: %p columns', (columns, expected) => {
    expect(screenLine(HALF, columns)).toBe(expected);
  });
});

describe('a bar', () => {
  test('shows what is decoded and what has arrived', () => {
    expect(progressBar(HALF, 199, 'blocks')).toBe(
      `${'█'.repeat(16)}${'▒'.repeat(4)}${'░'.repeat(20)} ${progressLine(HALF)}`,
    );
    expect(progressBar(HALF, 199, 'ascii')).toBe(
      `[${'#'.repeat(16)}${'='.repeat(4)}${'-'.repeat(20)}] ${progressLine(HALF)}`,
    );
  });

  test('shows what has arrived where nobody knows how much it will be', () => {
    expect(progressBar({ ...HALF, expected: undefined }, 199, 'ascii')).toStartWith(
      `[${'#'.repeat(20)}${'-'.repeat(20)}] image.raw: 50 %`,
    );
  });

  test.each<[number, string]>([
    [79, '███▒░░░░░ 50 %, 79.0 of 158 MiB, 210 of 512 MiB written, 11.2 MiB/s, 7.1 s left'],
    [39, '████▒░░░░░ 50 %, 11.2 MiB/s, 7.1 s left'],
    [20, '██████▒░░░░░░░░ 50 %'],
    [10, '50 %'],
  ])('stands before what there is room for: %p columns', (columns, expected) => {
    expect(progressBar(HALF, columns, 'blocks')).toBe(expected);
  });

  test('never takes more columns than there are, whatever the name', () => {
    for (const name of ['image.raw', '影像'.repeat(20), 'x'.repeat(300), '👩‍👩‍👧‍👦'.repeat(9)]) {
      for (let columns = 0; columns < 220; columns++) {
        for (const total of [HALF.total, undefined]) {
          const state = { ...HALF, name, total };
          expect(Bun.stringWidth(progressBar(state, columns, 'blocks'))).toBeLessThanOrEqual(columns);
          expect(Bun.stringWidth(progressBar(state, columns, 'ascii'))).toBeLessThanOrEqual(columns);
          expect(Bun.stringWidth(screenLine(state, columns))).toBeLessThanOrEqual(columns);
        }
      }
    }
  });

  test('is full at the end, and no fuller if the server sends more', () => {
    const state = { ...HALF, received: 158 * MIB, decoded: 512 * MIB };
    for (const received of [158, 200]) {
      expect(progressBar({ ...state, received: received * MIB }, 199, 'ascii')).toStartWith(
        `[${'#'.repeat(40)}] image.raw: 100 %`,
      );
    }
  });
});
