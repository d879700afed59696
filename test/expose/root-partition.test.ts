import { describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import type { AttachedLoopDevice } from '../../src/expose/loop-device.ts';
import { linkDevice, rootDevice } from '../../src/expose/root-partition.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { refusal } from '../request/refusal.ts';

const X64 = '4f68bce3-e8cd-4db1-96e7-fbcaf984b709';
const ARM64 = 'b921b045-1df0-41c3-af44-4c6f280d3fae';
const RISCV64 = '72ec70a6-cf74-40e6-bd49-4bda08e8f224';
const LOONGARCH64 = '77055800-792c-4f94-b39a-98c91b762bb6';
const ESP = 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b';
const LINUX = '0fc63daf-8483-4772-8e79-3d69d8477de4';

/** A device with partitions of these types and names, numbered from 1. */
function attached(
  partitions: readonly (readonly [type: string, name?: string])[],
  kind: AttachedLoopDevice['kind'] = 'gpt',
): AttachedLoopDevice {
  return {
    device: '/dev/loop7',
    readOnly: false,
    directIo: false,
    sectorSize: 512,
    kind,
    partitions: partitions.map(([type, name], index) => ({
      path: `/dev/loop7p${index + 1}`,
      number: index + 1,
      start: index,
      size: 1,
      type,
      ...(name !== undefined && { name }),
    })),
  };
}

test('a partition that nobody is to use by itself is not the root', () => {
  const image = attached([
    [X64, 'os_2'],
    [X64, 'os_1'],
  ]);
  const [first, ...others] = image.partitions;
  if (first === undefined) throw new Error('no partition');
  expect(rootDevice({ ...image, partitions: [{ ...first, noAuto: true }, ...others] }, 'x64')).toBe(
    '/dev/loop7p2',
  );
});

describe('the root of an image is', () => {
  test.each<[string, AttachedLoopDevice, string]>([
    ['the partition of the root type', attached([[ESP], [LINUX], [X64]]), 'p3'],
    ["of two architectures, this one's", attached([[ARM64], [X64]]), 'p2'],
    [
      'of a release and what went before it, the release',
      attached([
        [X64, 'os_1.0~rc1'],
        [X64, 'os_1.0'],
        [X64, 'os_1.0~rc2'],
      ]),
      'p2',
    ],
    [
      'of two versions, the newer one',
      attached([
        [X64, 'os_9'],
        [X64, 'os_10'],
      ]),
      'p2',
    ],
    [
      'of two versions, the newer one, wherever it is',
      attached([
        [X64, 'os_1.10'],
        [X64, 'os_1.9'],
      ]),
      'p1',
    ],
    [
      'of two, never the one that waits for an update',
      attached([
        [X64, 'a'],
        [X64, '_empty'],
      ]),
      'p1',
    ],
    ['the only Linux partition', attached([[ESP], [LINUX, 'data']]), 'p2'],
    ['the only Linux partition of an MBR', attached([['0xef'], ['0x83']], 'mbr'), 'p2'],
    ['the whole device, when it is one file system', attached([], 'file-system'), ''],
  ])('%s', (_, device, expected) => {
    expect(rootDevice(device, 'x64')).toBe(`/dev/loop7${expected}`);
  });

  test.each([
    ['arm64', 'p1'],
    ['x64', 'p2'],
    ['riscv64', 'p3'],
    ['loong64', 'p4'],
  ] as const)('that of the architecture, of four: %s', (architecture, expected) => {
    const image = attached([[ARM64], [X64], [RISCV64], [LOONGARCH64]]);
    expect(rootDevice(image, architecture)).toBe(`/dev/loop7${expected}`);
  });
});

describe('an image has no root, and its partitions are listed,', () => {
  test.each<[string, AttachedLoopDevice, string]>([
    [
      'when no type is right',
      attached([[ESP, 'a\x1bb'], [ARM64]]),
      `1 (${ESP}, "a\\x1bb"), 2 (${ARM64}, the root of arm64)`,
    ],
    ['when two might be it', attached([[LINUX, 'x'], [LINUX]]), `1 (${LINUX}, "x"), 2 (${LINUX})`],
    ['when it is yet to be filled', attached([[X64, '_empty']]), `1 (${X64}, the root of x86-64, "_empty")`],
    [
      'when it is one of other architectures',
      attached([[RISCV64, 'os'], [LOONGARCH64]]),
      `1 (${RISCV64}, the root of riscv64, "os"), 2 (${LOONGARCH64}, the root of loongarch64)`,
    ],
    ['when there is none at all', attached([]), 'it has none'],
  ])('%s', (_, device, listed) => {
    const { code, message, hint } = refusal(() => rootDevice(device, 'x64'));
    expect(code).toBe('image-unrecognised');
    expect(message).toBe(`none of the image's partitions is a root partition for x86-64: ${listed}`);
    expect(hint).toBe(
      `give the root partition the type ${X64}, or name it: root=/dev/disk/by-loop-ref/NAME.raw-partN`,
    );
  });
});

describe('the link', () => {
  test('is made with its directory, and replaced', () => {
    using directory = new TemporaryDirectory();
    const link = directory.file('new', 'root');
    linkDevice(link, '/dev/loop1p1');
    linkDevice(link, '/dev/loop2p2');
    expect(fs.readlinkSync(link)).toBe('/dev/loop2p2');
    expect(directory.names('new')).toEqual(['root']);
  });

  test("takes the place of a link alone, and of nothing that is somebody's", () => {
    using directory = new TemporaryDirectory();
    const notes = directory.write('notes.txt', 'precious');
    const { code, message } = refusal(() => linkDevice(notes, '/dev/loop1'));
    expect(code).toBe('target-unwritable');
    expect(message).toBe(`the link ${notes} cannot be made: something that is no link has that name`);
    expect(fs.readFileSync(notes, 'utf8')).toBe('precious');
  });

  test('that cannot be made leaves nothing', () => {
    using directory = new TemporaryDirectory();
    fs.mkdirSync(directory.file('root', 'full'), { recursive: true });
    const { code, message } = refusal(() => linkDevice(directory.file('root'), '/dev/loop1'));
    expect(code).toBe('target-unwritable');
    expect(message).toStartWith(`the link ${directory.file('root')} cannot be made: `);
    expect(directory.names()).toEqual(['root']);
  });
});
