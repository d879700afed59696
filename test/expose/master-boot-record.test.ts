import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { isProtectiveMasterBootRecord, readMasterBootRecord } from '../../src/expose/master-boot-record.ts';
import { createScratch } from './scratch.ts';

const MIB = 1024 * 1024;
const scratch = createScratch();
afterAll(() => scratch.remove());

/** An image of 32 MiB that sfdisk has partitioned. */
function partitioned(script: string): Buffer {
  const image = scratch.file('mbr.raw', 32 * MIB);
  fs.writeFileSync(scratch.path('script'), script);
  scratch.run('sh', '-c', `sfdisk --quiet --no-tell-kernel ${image} < script`);
  return fs.readFileSync(image);
}

function bytesOf(buffer: Buffer) {
  return {
    size: buffer.length,
    read: (offset: number, length: number) => buffer.subarray(offset, offset + length),
  };
}

function parse(buffer: Buffer) {
  return readMasterBootRecord(bytesOf(buffer), 'x.raw');
}

const LOGICAL = `label: dos
start=1MiB, size=2MiB, type=83, bootable
start=4MiB, size=20MiB, type=5
start=25MiB, size=2MiB, type=82
start=5MiB, size=1MiB, type=83
start=7MiB, size=2MiB, type=8e
start=10MiB, size=3MiB, type=83
`;

let logical: Buffer = Buffer.alloc(0);
beforeAll(() => {
  logical = partitioned(LOGICAL);
});

describe('reads', () => {
  test('primary partitions', () => {
    const image = partitioned(
      'label: dos\nstart=1MiB, size=2MiB, type=c, bootable\nstart=4MiB, size=20MiB, type=83\n',
    );
    expect(parse(image)).toEqual({
      kind: 'mbr',
      sectorSize: 512,
      partitions: [
        { number: 1, start: MIB, size: 2 * MIB, type: '0x0c' },
        { number: 2, start: 4 * MIB, size: 20 * MIB, type: '0x83' },
      ],
    });
  });

  test('logical partitions, from 5 on, without the extended one that holds them', () => {
    expect(parse(logical)?.partitions).toEqual([
      { number: 1, start: MIB, size: 2 * MIB, type: '0x83' },
      { number: 3, start: 25 * MIB, size: 2 * MIB, type: '0x82' },
      { number: 5, start: 5 * MIB, size: MIB, type: '0x83' },
      { number: 6, start: 7 * MIB, size: 2 * MIB, type: '0x8e' },
      { number: 7, start: 10 * MIB, size: 3 * MIB, type: '0x83' },
    ]);
  });

  test('an extended partition with nothing in it', () => {
    const image = partitioned('label: dos\nstart=1MiB, size=2MiB, type=83\nstart=4MiB, size=20MiB, type=f\n');
    expect(parse(image)?.partitions).toHaveLength(1);
  });
});

describe('sees no table', () => {
  test('in an image too short for one, or of zeros', () => {
    for (const length of [0, 511, 512, 4096]) expect(parse(Buffer.alloc(length))).toBeUndefined();
  });

  test('in a boot sector that is code', () => {
    const image = Buffer.alloc(MIB, 0xeb);
    image.writeUInt16LE(0xaa55, 510);
    expect(parse(image)).toBeUndefined();
  });

  test('without a single partition', () => {
    expect(parse(partitioned('label: dos\n'))).toBeUndefined();
  });
});

describe('leaves out what is odd, says so, and uses the rest:', () => {
  /** The entry `index` of the boot record at `sector`. */
  function entry(image: Buffer, index: number, sector = 0): Buffer {
    const offset = sector * 512 + 446 + index * 16;
    return image.subarray(offset, offset + 16);
  }

  const FIRST_EXTENDED = (4 * MIB) / 512;
  const cases: [what: string, change: (image: Buffer) => void, message: string][] = [
    [
      'a partition beyond the end',
      (image) => entry(image, 0).writeUInt32LE(0xffffffff, 12),
      'partition 1 ends at byte 2199024303616, the image has 33554432 bytes',
    ],
    [
      'a partition over the MBR',
      (image) => entry(image, 0).writeUInt32LE(0, 8),
      'partition 1 covers the MBR itself',
    ],
    [
      'partitions that overlap',
      (image) => entry(image, 2).writeUInt32LE((2 * MIB) / 512, 8),
      'partitions 1 and 3 overlap',
    ],
    [
      'extended boot records in a loop',
      (image) => entry(image, 1, FIRST_EXTENDED).writeUInt32LE(0, 8),
      'its extended boot records form a loop',
    ],
    [
      'an extended boot record outside of its partition',
      (image) => entry(image, 1, FIRST_EXTENDED).writeUInt32LE(0xfffffff0, 8),
      'an extended boot record lies outside of its partition',
    ],
    [
      'a logical partition outside of its extended one',
      (image) => entry(image, 0, FIRST_EXTENDED).writeUInt32LE((22 * MIB) / 512, 12),
      'logical partition 5 lies outside of its extended partition',
    ],
    [
      'a logical partition over its boot record',
      (image) => entry(image, 0, FIRST_EXTENDED).writeUInt32LE(0, 8),
      'logical partition 5 lies outside of its extended partition',
    ],
  ];

  test.each(cases)('%s', (_, change, message) => {
    const image = Buffer.from(logical);
    change(image);
    const table = parse(image);
    expect(table?.oddities).toEqual([`${message}: left out`]);
    // One of five, or the chain of three logical ones behind its first.
    expect(table?.partitions.length).toBeGreaterThanOrEqual(3);
    expect(table?.partitions.length).toBeLessThanOrEqual(4);
  });

  test('when nothing remains, the table is refused', () => {
    const image = partitioned('label: dos\nstart=1MiB, size=2MiB, type=83\n');
    entry(image, 0).writeUInt32LE(0xffffffff, 12);
    expect(() => parse(image)).toThrow(
      expect.objectContaining({
        code: 'image-unrecognised',
        message:
          'x.raw: damaged partition table: partition 1 ends at byte 2199024303616, the image has 33554432 bytes',
      }),
    );
  });

  test('a chain of boot records without end', () => {
    const image = Buffer.from(logical);
    for (let record = 0; record < 200; record++) {
      const sector = FIRST_EXTENDED + record;
      image.fill(0, sector * 512, (sector + 1) * 512);
      image.writeUInt16LE(0xaa55, sector * 512 + 510);
      const next = entry(image, 1, sector);
      next.writeUInt8(5, 4);
      next.writeUInt32LE(record + 1, 8);
      next.writeUInt32LE(1, 12);
    }
    expect(parse(image)?.oddities).toEqual(['it has more than 100 extended boot records: left out']);
    expect(parse(image)?.partitions.map(({ number }) => number)).toEqual([1, 3]);
  });
});

test('the MBR that guards a GPT is told from an ordinary one', () => {
  const gpt = scratch.file('gpt.raw', MIB);
  scratch.run('sh', '-c', `echo 'label: gpt' | sfdisk --quiet --no-tell-kernel ${gpt}`);
  expect(isProtectiveMasterBootRecord(bytesOf(fs.readFileSync(gpt)))).toBe(true);
  expect(isProtectiveMasterBootRecord(bytesOf(logical))).toBe(false);
});
