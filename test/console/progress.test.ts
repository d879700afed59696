import { describe, expect, test } from 'bun:test';
import { createProgress, progressBar, progressLine } from '../../src/console/progress.ts';

const MIB = 1024 * 1024;
const HALF = { name: 'image.raw', received: 79 * MIB, total: 158 * MIB, rate: 11.2 * MIB };

describe('a line', () => {
  test('says how much, how fast and how long', () => {
    expect(progressLine(HALF)).toBe('image.raw: 50 %, 79.0 MiB of 158 MiB, 11.2 MiB/s, 7.1 s left');
  });

  test('of unknown length says what is known', () => {
    expect(progressLine({ ...HALF, total: undefined })).toBe('image.raw: 79.0 MiB, 11.2 MiB/s');
  });

  test('of a stalled transfer promises no end', () => {
    expect(progressLine({ ...HALF, rate: 0 })).toBe('image.raw: 50 %, 79.0 MiB of 158 MiB, 0 B/s');
  });
});

describe('a bar', () => {
  test('stands before the line where there is room', () => {
    expect(progressBar(HALF, 120)).toBe(
      '[############------------] image.raw: 50 %, 79.0 MiB of 158 MiB, 11.2 MiB/s, 7.1 s left',
    );
  });

  test('shrinks to the room there is', () => {
    expect(progressBar(HALF, 80)).toBe(
      '[########--------] image.raw: 50 %, 79.0 MiB of 158 MiB, 11.2 MiB/s, 7.1 s left',
    );
  });

  test.each([20, 40, 80, 200])('never fills %p columns', (columns) => {
    expect(progressBar(HALF, columns).length).toBeLessThan(columns);
    expect(progressBar({ ...HALF, total: undefined }, columns).length).toBeLessThan(columns);
  });

  test('is full at the end, and no fuller if the server sends more', () => {
    expect(progressBar({ ...HALF, received: 158 * MIB }, 120)).toStartWith(
      '[########################] image.raw: 100 %',
    );
    expect(progressLine({ ...HALF, received: 200 * MIB })).toContain('100 %');
  });
});

describe('over time', () => {
  function watch(isTerminal: boolean) {
    let time = 0;
    const written: string[] = [];
    const output = {
      isTerminal,
      columns: () => 80,
      write: (text: string) => void written.push(text),
      line: (text: string) => void written.push(text),
    };
    const progress = createProgress('image.raw', 100 * MIB, output, () => time);
    return {
      written,
      progress,
      /** Lets 10 ms pass for every chunk of 64 KiB. */
      receive(milliseconds: number): void {
        for (const end = time + milliseconds; time < end; ) {
          time += 10;
          progress.update((time / 10) * 65_536);
        }
      },
    };
  }

  test('a log gets one line a second', () => {
    const { written, receive } = watch(false);
    receive(3_500);
    expect(written).toEqual([
      'image.raw: 6 %, 6.3 MiB of 100 MiB, 6.3 MiB/s, 15 s left',
      'image.raw: 12 %, 12.5 MiB of 100 MiB, 6.3 MiB/s, 14 s left',
      'image.raw: 18 %, 18.8 MiB of 100 MiB, 6.3 MiB/s, 13 s left',
    ]);
  });

  test('a terminal is drawn ten times a second on one line, which is gone in the end', () => {
    const { written, progress, receive } = watch(true);
    receive(1_000);
    expect(written.length).toBe(10);
    expect(written.every((text) => text.startsWith('\r\x1b[K') && !text.includes('\n'))).toBe(true);
    progress.end();
    expect(written.at(-1)).toBe('\r\x1b[K');
  });

  test('the rate is that of the last seconds, so that a stall shows', () => {
    let time = 0;
    const written: string[] = [];
    const output = {
      isTerminal: false,
      columns: () => 80,
      write: (text: string) => void written.push(text),
      line: (text: string) => void written.push(text),
    };
    const progress = createProgress('image.raw', undefined, output, () => time);
    for (time = 0; time <= 20_000; time += 500) progress.update(Math.min(time, 10_000) * 1000);
    expect(written.at(-1)).toBe('image.raw: 9.5 MiB, 0 B/s');
  });
});
