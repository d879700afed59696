import { afterAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import type { BlockMap } from '../../src/blocks/block-map.ts';
import { openBlockMap } from '../../src/blocks/open-block-map.ts';
import { RdpullError } from '../../src/console/rdpull-error.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { SeededRandom } from '../request/seeded-random.ts';
import { fileOf, imageOf, mapOf, readThrough } from './mapped-image.ts';
import { convertedByQemu, QCOW2_KINDS, qcow2Of, writtenQcow2 } from './qcow2-images.ts';

const MIB = 1024 * 1024;
const directory = new TemporaryDirectory();
afterAll(() => directory[Symbol.dispose]());
const random = new SeededRandom(20_261_128);
const raw = directory.write('image.raw', imageOf(random, 8 * MIB + 512));

describe('any part that is read through the map is what QEMU reads:', () => {
  test.each(QCOW2_KINDS)('%s', async (_, make) => {
    const image = make(directory, raw);
    const expected = convertedByQemu(directory, image);
    const file = fs.readFileSync(image);
    const map = await mapOf(file);
    expect(map).toMatchObject({ format: 'qcow2', size: expected.length });
    expect((await readThrough(map, file, 0, expected.length)).equals(expected)).toBe(true);
    await expectBlocks(map);
    for (let round = 0; round < 40; round++) {
      const offset = random.below(expected.length);
      const length = 1 + random.below(Math.min(expected.length - offset, round % 2 === 0 ? 5000 : MIB));
      const part = await readThrough(map, file, offset, length);
      expect(part.equals(expected.subarray(offset, offset + length))).toBe(true);
    }
  });
});

/** A stored block is the same for each of its bytes. */
async function expectBlocks(map: BlockMap): Promise<void> {
  let at = 0;
  for (let steps = 0; at < map.size && steps < 500; steps++) {
    const block = await map.at(at);
    expect(block.start).toBe(at);
    expect(block.length).toBeGreaterThan(0);
    at += block.length;
    if (block.content.kind === 'zeros') continue;
    expect(await map.at(at - 1)).toEqual(block);
    expect(await map.at(at - 1 - random.below(block.length))).toEqual(block);
  }
  await expect(map.at(map.size)).rejects.toThrow(RangeError);
}

test('a table is read when it is wanted, and once', async () => {
  const bytes = fs.readFileSync(qcow2Of(directory, raw, ''));
  const file = fileOf(bytes);
  const result = await openBlockMap(bytes.subarray(0, 512), file);
  if (result.kind === 'none') throw new Error(result.reason);
  expect(file.reads).toEqual([]);
  for (const offset of [5 * MIB, 0, 8 * MIB, 5 * MIB]) await result.map.at(offset);
  // The L1 table has a single entry; the L2 table is one cluster.
  expect(file.reads.map(([, length]) => length)).toEqual([8, 65_536]);
});

test('however many tables there are, 4 MiB of them are kept', async () => {
  const image = writtenQcow2(
    directory,
    '30G',
    '',
    Array.from({ length: 60 }, (_, at) => `write -P 1 ${at * 512}M 64k`),
  );
  const bytes = fs.readFileSync(image);
  const file = fileOf(bytes);
  const result = await openBlockMap(bytes.subarray(0, 512), file);
  if (result.kind === 'none') throw new Error(result.reason);
  const { map } = result;
  const look = async (first: number, last: number) => {
    const before = file.reads.length;
    for (let at = first; at <= last; at++) await map.at(at * 512 * MIB);
    return file.reads.length - before;
  };
  expect(await look(0, 59)).toBe(61);
  expect(await look(0, 59)).toBe(0);
  expect(await look(10, 59)).toBe(0);
  expect(await look(0, 9)).toBe(0);
});

test('a table that could not be read is read again', async () => {
  const bytes = fs.readFileSync(qcow2Of(directory, raw, ''));
  let fails = true;
  const file = fileOf(bytes);
  const result = await openBlockMap(bytes.subarray(0, 512), {
    size: file.size,
    read: (offset, length) =>
      fails ? Promise.reject(new Error('the server is away')) : file.read(offset, length),
  });
  if (result.kind === 'none') throw new Error(result.reason);
  await expect(result.map.at(0)).rejects.toThrow('the server is away');
  fails = false;
  expect((await result.map.at(0)).start).toBe(0);
});

/** An image whose header was changed. */
function changed(options: string, change: (header: Buffer) => void): Buffer {
  const bytes = fs.readFileSync(writtenQcow2(directory, '10M', options, ['write -P 1 0 1M']));
  change(bytes);
  return bytes;
}

async function refusal(file: Uint8Array): Promise<RdpullError> {
  try {
    const map = await mapOf(file);
    await readThrough(map, file, 0, Math.min(map.size, 64 * MIB));
  } catch (error) {
    if (error instanceof RdpullError) return error;
    throw error;
  }
  throw new Error('it was read');
}

describe('what rdpull cannot make whole is refused by name:', () => {
  const backing = () => {
    const overlay = directory.file('overlay.qcow2');
    run(['qemu-img', 'create', '-q', '-f', 'qcow2', '-b', raw, '-F', 'raw', overlay]);
    return fs.readFileSync(overlay);
  };
  const external = () => {
    const image = directory.file('external.qcow2');
    run([
      'qemu-img',
      'create',
      '-q',
      '-f',
      'qcow2',
      '-o',
      `data_file=${directory.file('data.raw')}`,
      image,
      '10M',
    ]);
    return fs.readFileSync(image);
  };
  test.each<[string, () => Buffer, string]>([
    [
      'a backing file',
      backing,
      'the qcow2 image has a backing file: what is served is only the difference to it',
    ],
    [
      'an external data file',
      external,
      'the qcow2 image has an external data file: what is served has no data',
    ],
    [
      'LUKS',
      () => changed('', (header) => header.writeUInt32BE(2, 32)),
      'the qcow2 image has encryption (LUKS)',
    ],
    [
      'AES',
      () => changed('', (header) => header.writeUInt32BE(1, 32)),
      'the qcow2 image has encryption (AES)',
    ],
    [
      'version 1',
      () => changed('', (header) => header.writeUInt32BE(1, 4)),
      'the qcow2 image has version 1 of the format',
    ],
    [
      'a feature that nobody knows',
      () => changed('', (header) => header.writeUInt8(0x40, 79)),
      'the qcow2 image has a feature that is not known: incompatible feature 6',
    ],
    [
      'a feature that only the image knows',
      () =>
        changed('', (header) => {
          header.writeUInt8(0x40, 79);
          // In place of the first name of the table: its type, its bit, and what it is called.
          const names = header.indexOf('dirty bit');
          header.writeUInt8(6, names - 1);
          header.write('quantum bit\0', names, 'latin1');
        }),
      'the qcow2 image has a feature that is not known: "quantum bit"',
    ],
    [
      'a compression that nobody knows',
      () => changed('compression_type=zstd', (header) => header.writeUInt8(9, 104)),
      'the qcow2 image has compression of type 9',
    ],
    [
      'an image that is marked corrupt',
      () => changed('', (header) => header.writeUInt8(2, 79)),
      'the qcow2 image is marked as corrupt by the program that had it last',
    ],
  ])('%s', async (_, make, message) => {
    const error = await refusal(make());
    expect(error.message).toBe(message);
    expect(['stream-unsupported', 'stream-corrupt']).toContain(error.code);
  });
});

describe('an image that lies is corrupt:', () => {
  const CASES: readonly [string, (bytes: Buffer) => unknown, string][] = [
    [
      'clusters of 2^63 bytes',
      (bytes) => bytes.writeUInt32BE(63, 20),
      'it says that its clusters have 2^63 bytes',
    ],
    ['clusters of 1 byte', (bytes) => bytes.writeUInt32BE(0, 20), 'it says that its clusters have 2^0 bytes'],
    [
      'a size beyond all numbers',
      (bytes) => bytes.writeBigUInt64BE(2n ** 63n, 24),
      'it says that its size is 9223372036854775808',
    ],
    [
      'a size that is no number of sectors',
      (bytes) => bytes.writeBigUInt64BE(1001n, 24),
      'it says that its size is 1001',
    ],
    [
      'a size that its table does not list',
      (bytes) => bytes.writeBigUInt64BE(2n ** 40n, 24),
      'its L1 table is not what its size needs',
    ],
    [
      'a table inside of a cluster',
      (bytes) => bytes.writeBigUInt64BE(65_540n, 40),
      'its L1 table is not what its size needs',
    ],
    [
      'a table behind the end',
      (bytes) => bytes.writeBigUInt64BE(2n ** 40n, 40),
      'its L1 table lies behind the end of the file',
    ],
    [
      'an L2 table behind the end',
      (bytes) => bytes.writeBigUInt64BE(2n ** 40n, l1(bytes)),
      'an L2 table lies behind the end of the file',
    ],
    [
      'an L2 table inside of a cluster',
      (bytes) => bytes.writeBigUInt64BE(0x10200n, l1(bytes)),
      'an L2 table begins inside of a cluster',
    ],
    [
      'a cluster behind the end',
      (bytes) => bytes.writeBigUInt64BE(2n ** 40n, l2(bytes)),
      'a cluster lies behind the end of the file',
    ],
    [
      'a cluster inside of another',
      (bytes) => bytes.writeBigUInt64BE(0x50200n, l2(bytes)),
      'a cluster begins inside of a cluster',
    ],
    [
      'a compressed cluster behind the end',
      (bytes) => bytes.writeBigUInt64BE(2n ** 62n + 2n ** 40n, l2(bytes)),
      'a compressed cluster lies behind the end of the file',
    ],
    [
      'a compressed cluster that is none',
      (bytes) => bytes.writeBigUInt64BE(2n ** 62n, l2(bytes)),
      'ISA-L reports error -1',
    ],
    ['a header that is cut', (bytes) => bytes.writeUInt32BE(96, 100), 'its header is cut'],
    [
      'a compression without the feature',
      (bytes) => bytes.writeUInt8(1, 104),
      'its compression type contradicts its features',
    ],
  ];
  test.each(CASES)('%s', async (_, change, reason) => {
    const error = await refusal(changed('', change));
    expect(error.code).toBe('stream-corrupt');
    expect(error.message).toContain(reason);
  });

  test('a flag of version 3 in an image of version 2', async () => {
    const error = await refusal(changed('compat=0.10', (bytes) => bytes.writeBigUInt64BE(1n, l2(bytes))));
    expect(error.message).toContain('a cluster of version 2 has a flag of version 3');
  });

  test('subclusters that contradict themselves', async () => {
    const both = changed('extended_l2=on', (bytes) =>
      bytes.writeBigUInt64BE(0x00000001_00000001n, l2(bytes) + 8),
    );
    expect((await refusal(both)).message).toContain('a subcluster is allocated and all zeros');
    const nowhere = changed('extended_l2=on', (bytes) => bytes.writeBigUInt64BE(0n, l2(bytes)));
    expect((await refusal(nowhere)).message).toContain('a subcluster lies nowhere');
  });

  test('cut anywhere', async () => {
    const bytes = changed('', () => undefined);
    for (const length of [4, 71, 72, 103, 512, 65_536, l2(bytes), l2(bytes) + 100, bytes.length - 1]) {
      expect((await refusal(bytes.subarray(0, length))).code).toBe('stream-corrupt');
    }
  });
});

/** Where the first entries of the tables are. */
function l1(bytes: Buffer): number {
  return Number(bytes.readBigUInt64BE(40));
}

function l2(bytes: Buffer): number {
  return Number(bytes.readBigUInt64BE(l1(bytes)) & 0x00fffffffffffe00n);
}
