import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { crc32 } from 'node:zlib';
import { type XzSizes, xzSizes } from '../../src/decode/xz-index.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { SeededRandom } from '../request/seeded-random.ts';

const MIB = 1024 * 1024;
const directory = new TemporaryDirectory();
afterAll(() => directory[Symbol.dispose]());

/** What is told of a file, and which parts of it were read. */
async function sizesOf(file: Uint8Array): Promise<{ sizes: XzSizes | undefined; reads: [number, number][] }> {
  const reads: [number, number][] = [];
  const sizes = await xzSizes(file.subarray(0, 32), file.length, async (offset, length) => {
    reads.push([offset, length]);
    expect(offset).toBeGreaterThanOrEqual(0);
    expect(offset + length).toBeLessThanOrEqual(file.length);
    return file.subarray(offset, offset + length);
  });
  return { sizes, reads };
}

const xz = (input: Uint8Array, ...options: string[]) => run(['xz', '-c', ...options], { input });

/** What xz(1) says of it. */
function listed(file: Uint8Array): number {
  const totals = run(['xz', '--robot', '--list', directory.write('listed.xz', file)])
    .toString()
    .split('\n')
    .find((line) => line.startsWith('totals'));
  return Number(totals?.split('\t')[4]);
}

const noise = noiseOf(MIB);

describe('the size of an .xz file is what xz --list says:', () => {
  const small = xz(noise.subarray(0, 1000));
  const empty = xz(new Uint8Array(0));
  const padding = Buffer.alloc(8);
  test.each<[string, Uint8Array]>([
    ['one block', xz(noise, '-0')],
    ['many blocks', xz(noise, '-0', '-T2', '--block-size=16KiB')],
    ['many blocks without sizes in their headers', xz(noise, '-0', '-T1', '--block-size=16KiB')],
    ['no integrity check', xz(noise, '-0', '--check=none')],
    ['SHA-256', xz(noise, '-0', '--check=sha256')],
    ['nothing in it', empty],
    ['two streams', Buffer.concat([small, xz(noise, '-0')])],
    ['streams with padding, and an empty one', Buffer.concat([small, padding, empty, small, padding])],
    ['a large size', xz(new Uint8Array(100 * MIB), '-0', '-T2')],
  ])('%s', async (_, file) => {
    const { sizes, reads } = await sizesOf(file);
    expect(sizes?.uncompressed).toBe(listed(file));
    expect(reads.length).toBeLessThanOrEqual(2);
  });
});

test('one read of the last 64 KiB is enough for one stream', async () => {
  const file = xz(noise, '-0', '-T2', '--block-size=4KiB');
  const { sizes, reads } = await sizesOf(file);
  expect(sizes?.uncompressed).toBe(MIB);
  expect(reads).toEqual([[file.length - 65_536, 65_536]]);
});

test('an index longer than that takes a second one', async () => {
  const file = xz(noise.subarray(0, 400_000), '-0', '-T2', '--block-size=8');
  const { sizes, reads } = await sizesOf(file);
  expect(sizes?.uncompressed).toBe(400_000);
  expect(reads.length).toBe(2);
});

test('more reads than two are not worth it: then nothing is known', async () => {
  const file = Buffer.concat(Array.from({ length: 4 }, () => xz(noise.subarray(0, 100_000))));
  const { sizes, reads } = await sizesOf(file);
  expect(sizes).toBeUndefined();
  expect(reads.length).toBe(2);
});

test('blocks of nothing but zeros are told from data', async () => {
  const image = Buffer.alloc(64 * MIB);
  image.set(noise, 20 * MIB);
  const { sizes } = await sizesOf(xz(image, '-0', '-T2', '--block-size=4MiB'));
  expect(sizes?.uncompressed).toBe(64 * MIB);
  expect(sizes?.withoutHoles).toBeGreaterThan(MIB);
  expect(sizes?.withoutHoles).toBeLessThan(16 * MIB);
});

describe('a file that lies is not believed:', () => {
  let file: Buffer;
  beforeAll(() => {
    file = xz(noise.subarray(0, 100_000), '-0', '-T2', '--block-size=10KiB');
  });

  test('any byte of its index or footer changed', async () => {
    for (let at = file.length - 60; at < file.length; at++) {
      const changed = Buffer.from(file);
      changed[at] = (changed[at] ?? 0) ^ 0x41;
      expect((await sizesOf(changed)).sizes).toBeUndefined();
    }
  });

  test('cut anywhere', async () => {
    for (const length of [
      1,
      11,
      12,
      24,
      32,
      file.length - 65,
      file.length - 12,
      file.length - 4,
      file.length - 1,
    ]) {
      expect((await sizesOf(file.subarray(0, length))).sizes).toBeUndefined();
    }
  });

  test('not .xz at all', async () => {
    expect((await sizesOf(Buffer.alloc(100_000))).sizes).toBeUndefined();
    expect((await sizesOf(new Uint8Array(0))).sizes).toBeUndefined();
    expect((await sizesOf(noise)).sizes).toBeUndefined();
  });

  test('records that do not add up to where the stream begins', async () => {
    expect((await sizesOf(forged([[1000, 1e15]]))).sizes).toBeUndefined();
  });

  test('a size beyond all numbers', async () => {
    const file = forged([[8, 2 ** 62]]);
    expect((await sizesOf(file)).sizes).toBeUndefined();
  });

  test('a server that sends something else in place of the part', async () => {
    const start = file.subarray(0, 32);
    for (const answer of [undefined, new Uint8Array(5), new Uint8Array(65_536)]) {
      expect(await xzSizes(start, file.length, () => Promise.resolve(answer))).toBeUndefined();
    }
  });

  test('random bytes behind a valid footer end, and say nothing', async () => {
    const random = new SeededRandom(20_261_124);
    for (let round = 0; round < 500; round++) {
      const index = Buffer.from(Array.from({ length: 4 * (1 + (round % 20)) }, () => random.below(256)));
      index[0] = 0;
      const { sizes } = await sizesOf(withIndex(index));
      expect(sizes === undefined || Number.isSafeInteger(sizes.uncompressed)).toBe(true);
    }
  });
});

/** A file whose checksums hold, with these records of unpadded and uncompressed sizes, and 8 bytes of a block. */
function forged(records: readonly (readonly [number, number])[]): Buffer {
  const integer = (value: number) => {
    const bytes: number[] = [];
    let rest = BigInt(value);
    for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
    return [...bytes, Number(rest)];
  };
  const body = [
    0,
    ...integer(records.length),
    ...records.flatMap(([a, b]) => [...integer(a), ...integer(b)]),
  ];
  return withIndex(Buffer.from([...body, ...new Array((4 - (body.length % 4)) % 4).fill(0)]));
}

/** The index without its checksum, and all around it. */
function withIndex(index: Buffer): Buffer {
  const word = (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    return bytes;
  };
  const flags = Buffer.from([0, 1]);
  const header = Buffer.concat([Buffer.from('fd377a585a00', 'hex'), flags, word(crc32(flags))]);
  const backward = Buffer.concat([word((index.length + 4) / 4 - 1), flags]);
  const footer = Buffer.concat([word(crc32(backward)), backward, Buffer.from('YZ')]);
  return Buffer.concat([header, Buffer.alloc(8, 1), index, word(crc32(index)), footer]);
}

test('what is forged right is believed: the forgeries above fail for what is wrong with them', async () => {
  expect((await sizesOf(forged([[8, 5000]]))).sizes).toEqual({ uncompressed: 5000, withoutHoles: 4000 });
});
