import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { crc32 } from 'node:zlib';
import { readGuidPartitionTable } from '../../src/expose/guid-partition-table.ts';
import { type ImageBytes, imageBytes } from '../../src/expose/image-bytes.ts';
import { createScratch } from './scratch.ts';

const MIB = 1024 * 1024;
const SECTOR = 512;
const scratch = createScratch();
let pristine = Buffer.alloc(0);

beforeAll(() => {
  const image = scratch.file('gpt.raw', 16 * MIB);
  scratch.run(
    'sgdisk',
    ...['--new=1:1M:+2M', '--typecode=1:ef00', '--change-name=1:ESP'],
    ...['--new=5:4M:+3M', '--typecode=5:8304', '--change-name=5:Wurzel äß🌱'],
    '--partition-guid=5:12345678-9abc-def0-1122-334455667788',
    image,
  );
  pristine = fs.readFileSync(image);
});
afterAll(() => scratch.remove());

function bytesOf(buffer: Buffer): ImageBytes {
  return { size: buffer.length, read: (offset, length) => buffer.subarray(offset, offset + length) };
}

function parse(buffer: Buffer) {
  return readGuidPartitionTable(bytesOf(buffer), 'x.raw');
}

/** sgdisk's image with one bit changed. */
function flipped(at: number): Buffer {
  const image = Buffer.from(pristine);
  image.writeUInt8(image.readUInt8(at) ^ 1, at);
  return image;
}

/** sgdisk's image with the header and entries changed and, as a forger would, the checksums made to fit. */
function forged(change: (header: Buffer, entries: Buffer) => void): Buffer {
  const image = Buffer.from(pristine);
  const header = image.subarray(SECTOR, 2 * SECTOR);
  const entries = image.subarray(2 * SECTOR, 2 * SECTOR + 128 * 128);
  change(header, entries);
  header.writeUInt32LE(crc32(entries), 88);
  header.writeUInt32LE(0, 16);
  header.writeUInt32LE(crc32(header.subarray(0, 92)), 16);
  return image;
}

describe('reads', () => {
  test('numbers with gaps, places, types, UUIDs and names in UTF-16', () => {
    expect(parse(pristine)).toEqual({
      kind: 'gpt',
      sectorSize: 512,
      partitions: [
        {
          number: 1,
          start: MIB,
          size: 2 * MIB,
          type: 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b',
          uuid: expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
          name: 'ESP',
        },
        {
          number: 5,
          start: 4 * MIB,
          size: 3 * MIB,
          type: '4f68bce3-e8cd-4db1-96e7-fbcaf984b709',
          uuid: '12345678-9abc-def0-1122-334455667788',
          name: 'Wurzel äß🌱',
        },
      ],
    });
  });

  test('a table without partitions', () => {
    const image = scratch.file('empty.raw', MIB);
    scratch.run('sh', '-c', `echo 'label: gpt' | sfdisk --quiet --no-tell-kernel ${image}`);
    expect(parse(fs.readFileSync(image))).toEqual({ kind: 'gpt', sectorSize: 512, partitions: [] });
  });

  test.each([1024, 2048, 4096])('a table written with sectors of %d bytes', (sectorSize) => {
    const image = scratch.file('sectors.raw', 16 * MIB);
    const device = scratch
      .run('losetup', '--find', '--show', '--sector-size', String(sectorSize), image)
      .trim();
    scratch.run(
      'sh',
      '-c',
      `echo 'start=1MiB, size=4MiB, name=root' | sfdisk --quiet --no-tell-kernel --label gpt ${device}`,
    );
    scratch.run('losetup', '--detach', device);
    const table = parse(fs.readFileSync(image));
    expect(table?.sectorSize).toBe(sectorSize);
    expect(table?.partitions).toEqual([
      expect.objectContaining({ number: 1, start: MIB, size: 4 * MIB, name: 'root' }),
    ]);
  });

  test('what systemd-repart makes', () => {
    fs.mkdirSync(scratch.path('repart.d'));
    fs.writeFileSync(
      scratch.path('repart.d/root.conf'),
      '[Partition]\nType=root-x86-64\nSizeMinBytes=10M\nSizeMaxBytes=10M\n',
    );
    scratch.run(
      'systemd-repart',
      ...['--empty=create', '--size=32M', '--dry-run=no', '--definitions=repart.d', 'repart.raw'],
    );
    expect(parse(fs.readFileSync(scratch.path('repart.raw')))?.partitions).toEqual([
      expect.objectContaining({
        number: 1,
        size: 10 * MIB,
        type: '4f68bce3-e8cd-4db1-96e7-fbcaf984b709',
        name: 'root-x86-64',
      }),
    ]);
  });
});

describe('sees no table', () => {
  test('in an image too short for one', () => {
    for (const length of [0, 1, 511, 512]) expect(parse(Buffer.alloc(length))).toBeUndefined();
  });

  test('where no protective MBR guards it: then it is a leftover', () => {
    const image = Buffer.from(pristine);
    image.fill(0, 0, SECTOR);
    expect(parse(image)).toBeUndefined();
  });
});

describe('one odd entry is left out, which is said, and the others are used:', () => {
  const cases: [what: string, change: (entries: Buffer) => void, left: number, oddity: string][] = [
    [
      'a partition beyond the end',
      (entries) => entries.writeBigUInt64LE(0x7fffffffffffffffn, 40),
      5,
      'partition 1 covers the sectors 2048 to 9223372036854775807, outside of 34 to 32734: left out',
    ],
    [
      'a partition over the table',
      (entries) => entries.writeBigUInt64LE(0n, 32),
      5,
      'partition 1 covers the sectors 0 to 6143, outside of 34 to 32734: left out',
    ],
    [
      'a partition that ends before it starts',
      (entries) => entries.writeBigUInt64LE(2000n, 40),
      5,
      'partition 1 covers the sectors 2048 to 2000, outside of 34 to 32734: left out',
    ],
    [
      'one that overlaps another, which comes first',
      (entries) => entries.writeBigUInt64LE(8192n, 40),
      1,
      'partitions 1 and 5 overlap: left out',
    ],
  ];

  test.each(cases)('%s', (_, change, left, oddity) => {
    const table = parse(forged((_header, entries) => change(entries)));
    expect(table?.partitions.map(({ number }) => number)).toEqual([left]);
    expect(table?.oddities).toEqual([oddity]);
  });

  test('of thousands, a few are told', () => {
    const image = forged((_, entries) => {
      for (let index = 0; index < 128; index++) {
        if (index === 4) continue;
        entries.copy(entries, index * 128, 4 * 128, 5 * 128);
        entries.writeBigUInt64LE(0n, index * 128 + 32);
      }
    });
    const table = parse(image);
    expect(table?.partitions.map(({ number }) => number)).toEqual([5]);
    expect(table?.oddities).toHaveLength(9);
    expect(table?.oddities?.at(-1)).toBe('and 119 more');
  });
});

describe('a damaged primary table with a whole backup, as the kernel and libblkid use it:', () => {
  test.each([
    [
      'no header',
      () => Buffer.from(pristine).fill(0, SECTOR, 2 * SECTOR),
      'a protective MBR is there, but no GPT header',
    ],
    ['a header with a flipped bit', () => flipped(SECTOR + 60), 'the checksum of the GPT header is wrong'],
    [
      'entries with a flipped bit',
      () => flipped(2 * SECTOR + 40),
      'the checksum of the GPT entries is wrong',
    ],
  ])('%s', (_, image, what) => {
    const { partitions } = parse(pristine) ?? {};
    expect(parse(image())).toEqual({
      kind: 'gpt',
      sectorSize: 512,
      partitions: partitions ?? [],
      oddities: [`${what}: its backup at the end of the image is used`],
    });
  });

  test('of 4096 bytes a sector', () => {
    const file = scratch.file('large-sectors.raw', 16 * MIB);
    const device = scratch.run('losetup', '--find', '--show', '--sector-size', '4096', file).trim();
    const script = `echo 'start=1MiB, size=4MiB' | sfdisk --quiet --no-tell-kernel --label gpt ${device}`;
    scratch.run('sh', '-c', script);
    scratch.run('losetup', '--detach', device);
    const image = fs.readFileSync(file);
    image.fill(0, 4096, 3 * 4096);
    expect(parse(image)).toMatchObject({ sectorSize: 4096, partitions: [{ number: 1, start: MIB }] });
  });
});

test('a table of 16,384 entries, as sgdisk makes it; numbers that the kernel does not make are left out', () => {
  const file = scratch.file('many.raw', 32 * MIB);
  const options = ['--resize-table=16384', '--new=1:8M:+1M', '--new=255:10M:+1M', '--new=16384:12M:+1M'];
  scratch.run('sgdisk', ...options, file);
  const table = parse(fs.readFileSync(file));
  expect(table?.partitions.map(({ number }) => number)).toEqual([1, 255]);
  expect(table?.oddities).toEqual(["partition 16384 has a number above 255, the kernel's last: left out"]);
});

describe('refuses', () => {
  const cases: [what: string, image: () => Buffer, message: string][] = [
    ['a header with a flipped bit', () => flipped(SECTOR + 60), 'the checksum of the GPT header is wrong'],
    [
      'entries with a flipped bit',
      () => flipped(2 * SECTOR + 40),
      'the checksum of the GPT entries is wrong',
    ],
    [
      'headers for two sector sizes that are both whole',
      () => {
        // Both lead to the same entries, at byte 32768.
        const image = Buffer.from(pristine);
        image.copy(image, 32768, 2 * SECTOR, 2 * SECTOR + 128 * 128);
        image.copy(image, 4096, SECTOR, 2 * SECTOR);
        for (const size of [512, 4096]) {
          const header = image.subarray(size, size + SECTOR);
          header.writeBigUInt64LE(BigInt(32768 / size), 72);
          header.writeBigUInt64LE(3000n, 48);
          header.writeUInt32LE(0, 16);
          header.writeUInt32LE(crc32(header.subarray(0, 92)), 16);
        }
        return image;
      },
      'GPT headers for several sector sizes (512, 4096 bytes)',
    ],
    [
      'a partition beyond the end, when there is no other',
      () =>
        forged((_, entries) => {
          entries.fill(0, 4 * 128, 5 * 128);
          entries.writeBigUInt64LE(0x7fffffffffffffffn, 40);
        }),
      'partition 1 covers the sectors 2048 to 9223372036854775807, outside of 34 to 32734',
    ],
    [
      'a protective MBR with nothing behind it',
      () => Buffer.from(pristine).fill(0, SECTOR, 2 * SECTOR),
      'a protective MBR is there, but no GPT header',
    ],
    [
      'an image cut off after its MBR',
      () => pristine.subarray(0, SECTOR),
      'a protective MBR is there, but no GPT header',
    ],
    ['an image cut off within its header', () => pristine.subarray(0, SECTOR + 50), 'no GPT header'],
    [
      'an image cut off half-way',
      () => pristine.subarray(0, 8 * MIB),
      'the image has 8388608 bytes, its GPT needs at least 16760320',
    ],
    [
      'a revision of the future',
      () => forged((header) => header.writeUInt32LE(0x00020000, 8)),
      'the unknown revision 0x20000',
    ],
    [
      'a header longer than its sector',
      () => forged((header) => header.writeUInt32LE(0xffffffff, 12)),
      'to be 4294967295 bytes long',
    ],
    [
      'a header shorter than its fields',
      () => forged((header) => header.writeUInt32LE(16, 12)),
      'to be 16 bytes long',
    ],
    [
      'more entries than memory',
      () => forged((header) => header.writeUInt32LE(0xffffffff, 80)),
      'the GPT claims 4294967295 entries of 128 bytes',
    ],
    [
      'entries of no size',
      () => forged((header) => header.writeUInt32LE(0, 84)),
      'the GPT claims entries of 0 bytes',
    ],
    [
      'entries of an odd size',
      () => forged((header) => header.writeUInt32LE(129, 84)),
      'the GPT claims entries of 129 bytes',
    ],
    [
      'entries of 2 GiB',
      () => forged((header) => header.writeUInt32LE(0x80000000, 84)),
      'the GPT claims entries of 2147483648 bytes',
    ],
    [
      'entries beyond the end',
      () => forged((header) => header.writeBigUInt64LE(0xffffffffffffffffn, 72)),
      "the GPT's entries are said to be at byte 9444732965739290426880 of 16777216",
    ],
    [
      'entries in the header itself',
      () => forged((header) => header.writeBigUInt64LE(1n, 72)),
      'are said to be at byte 512',
    ],
    [
      'a usable area over the table itself',
      () => forged((header) => header.writeBigUInt64LE(0n, 40)),
      'the GPT lets partitions begin at sector 0, where it lies itself',
    ],
    [
      'a usable area beyond the end',
      () => forged((header) => header.writeBigUInt64LE(0xffffffffffffffffn, 48)),
      'the image has 16777216 bytes, its GPT needs at least 9444732965739290427392',
    ],
  ];

  /** The backup in the last sector gone, too. */
  const alone = (image: Buffer) =>
    image.length < pristine.length ? image : Buffer.from(image).fill(0, image.length - SECTOR);

  test.each(cases)('%s', (_, makeImage, message) => {
    const image = () => alone(makeImage());
    expect(() => parse(image())).toThrow(
      expect.objectContaining({
        code: 'image-unrecognised',
        message: expect.stringMatching(/^x\.raw: damaged partition table: /),
      }),
    );
    expect(() => parse(image())).toThrow(message);
  });

  test('or reads, but never crashes on, any single byte of the header gone wrong under a fitting checksum', () => {
    const image = Buffer.from(pristine);
    const header = image.subarray(SECTOR, 2 * SECTOR);
    for (let offset = 8; offset < 92; offset++) {
      for (const value of [0x00, 0x7f, 0x80, 0xff]) {
        pristine.copy(header, 0, SECTOR, 2 * SECTOR);
        header.writeUInt8(value, offset);
        header.writeUInt32LE(0, 16);
        header.writeUInt32LE(crc32(header.subarray(0, 92)), 16);
        try {
          expect(parse(image)?.kind).toBe('gpt');
        } catch (error) {
          expect(error).toMatchObject({ code: 'image-unrecognised' });
        }
      }
    }
  });
});

test('the attribute NO_AUTO, as sgdisk sets it, is told', () => {
  const file = scratch.file('no-auto.raw', 4 * 1024 * 1024);
  scratch.run('sgdisk', '-n', '1:0:+1M', '-n', '2:0:+1M', '-A', '2:set:63', file);
  const fd = fs.openSync(file, 'r');
  const table = readGuidPartitionTable(imageBytes(fd), file);
  fs.closeSync(fd);
  expect(table?.partitions.map(({ noAuto }) => noAuto)).toEqual([undefined, true]);
});
