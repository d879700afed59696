import { describe, expect, test } from 'bun:test';
import { createProgress } from '../../src/console/progress.ts';

const MIB = 1024 * 1024;
const SUBJECT = { name: 'image.raw', source: undefined, total: 100 * MIB, expected: 100 * MIB };

describe('over time', () => {
  function watch(isTerminal: boolean, width = { columns: 80 }) {
    let time = 0;
    const written: string[] = [];
    const output = {
      isTerminal,
      columns: () => width.columns,
      write: (text: string) => void written.push(text),
      line: (text: string) => void written.push(text),
    };
    const progress = createProgress(SUBJECT, output, 'ascii', () => time);
    return {
      written,
      progress,
      /** Lets 10 ms pass for every chunk of 64 KiB. */
      receive(milliseconds: number): void {
        for (const end = time + milliseconds; time < end; ) {
          time += 10;
          progress.update((time / 10) * 65_536, 0);
        }
      },
    };
  }

  test('a log gets one line a second', () => {
    const { written, receive } = watch(false);
    receive(3_500);
    expect(written).toEqual([
      'image.raw: 6 %, 6.3 of 100 MiB, 6.3 MiB/s, 15 s left',
      'image.raw: 12 %, 12.5 of 100 MiB, 6.3 MiB/s, 14 s left',
      'image.raw: 18 %, 18.8 of 100 MiB, 6.3 MiB/s, 13 s left',
    ]);
  });

  test('a terminal is drawn ten times a second on one line, which is gone in the end', () => {
    const { written, progress, receive } = watch(true);
    receive(1_000);
    expect(written.filter((text) => text === '\r\x1b[K').length).toBe(10);
    expect(written.filter((text) => /^\[#*=*-*\] image\.raw: \d %, /.test(text)).length).toBe(10);
    expect(written.join('')).not.toContain('\n');
    progress.end();
    expect(written.at(-1)).toBe('\r\x1b[K');
  });

  test('what a terminal that became narrower has broken into rows goes away as a whole', () => {
    const width = { columns: 80 };
    const { written, progress, receive } = watch(true, width);
    receive(200);
    width.columns = 30;
    receive(100);
    expect(written.at(-2)).toBe('\r\x1b[2A\x1b[J');
    expect(written.at(-1)?.length).toBeLessThan(30);
    receive(100);
    expect(written.at(-2)).toBe('\r\x1b[K');
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
    const progress = createProgress(
      { ...SUBJECT, total: undefined, expected: undefined },
      output,
      'ascii',
      () => time,
    );
    for (time = 0; time <= 20_000; time += 500) progress.update(Math.min(time, 10_000) * 1000, 0);
    expect(written.at(-1)).toBe('image.raw: 9.5 MiB, 0 B/s');
  });
});
