import { describe, expect, test } from 'bun:test';
import { zstdContentSize } from '../../src/decode/zstd-frame-header.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

/** Compressed as a file, so that zstd knows and writes its size. */
function zstd(length: number, ...options: string[]): Buffer {
  using directory = new TemporaryDirectory();
  const file = directory.write('file', length < 1e6 ? noiseOf(length) : new Uint8Array(length));
  return run(['zstd', '-q', '-c', ...options, file]);
}

describe('the size of a zstd frame is in its header, in a field of', () => {
  test.each([
    ['one byte', 100],
    ['two bytes', 256],
    ['two bytes, its largest', 65_791],
    ['four bytes', 65_792],
    ['four bytes, beyond a window', 40_000_000],
  ])('%s', (_, length) => {
    expect(zstdContentSize(zstd(length).subarray(0, 32))).toBe(length);
  });

  test('eight bytes', () => {
    const header = Buffer.from('28b52ffdc0580000008002000000', 'hex');
    expect(zstdContentSize(header)).toBe(0x2_8000_0000);
  });
});

test('beyond all exact numbers it is more than any limit', () => {
  expect(zstdContentSize(Buffer.from('28b52ffdc058ffffffffffffffff', 'hex'))).toBe(Number.MAX_SAFE_INTEGER);
});

test('a dictionary before it is stepped over', () => {
  expect(zstdContentSize(Buffer.from('28b52ffd6301020304f401', 'hex'))).toBe(500 + 256);
});

describe('nothing is known', () => {
  test('of what zstd has compressed from a pipe', () => {
    expect(zstdContentSize(run(['zstd', '-q', '-c'], { input: noiseOf(1000, 1) }))).toBeUndefined();
  });

  test('of a skippable frame, as pzstd writes first', () => {
    expect(zstdContentSize(Buffer.from('502a4d180400000012345678', 'hex'))).toBeUndefined();
  });

  test('of a header that is cut, reserved or something else', () => {
    const header = zstd(40_000_000).subarray(0, 18);
    for (let length = 0; length < 6; length++) {
      expect(zstdContentSize(header.subarray(0, length))).toBeUndefined();
    }
    const reserved = Buffer.from(header);
    reserved[4] = (reserved[4] ?? 0) | 0x08;
    expect(zstdContentSize(reserved)).toBeUndefined();
    expect(zstdContentSize(noiseOf(18, 2))).toBeUndefined();
  });
});
