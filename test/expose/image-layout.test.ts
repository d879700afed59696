import { afterAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { imageBytes } from '../../src/expose/image-bytes.ts';
import { type ImageLayout, identifyImage } from '../../src/expose/image-layout.ts';
import { createScratch } from './scratch.ts';

const MIB = 1024 * 1024;
const scratch = createScratch();
const tree = scratch.path('tree');
fs.mkdirSync(tree);
fs.writeFileSync(`${tree}/hello`, 'hello');
afterAll(() => scratch.remove());

function identify(file: string): ImageLayout {
  const fd = fs.openSync(file, 'r');
  try {
    return identifyImage(imageBytes(fd), file);
  } finally {
    fs.closeSync(fd);
  }
}

describe('a bare file system is recognised:', () => {
  const cases: [type: string, megabytes: number, command: string][] = [
    ['ext2', 1, 'mkfs.ext2 -q IMAGE'],
    ['ext3', 8, 'mkfs.ext3 -q IMAGE'],
    ['ext4', 8, 'mkfs.ext4 -q IMAGE'],
    ['ext4', 8, 'mkfs.ext4 -q -O ^has_journal IMAGE'],
    ['erofs', 0, 'mkfs.erofs IMAGE tree'],
    ['squashfs', 0, 'mksquashfs tree IMAGE -quiet -noappend -no-progress'],
    ['xfs', 320, 'mkfs.xfs -q IMAGE'],
    ['btrfs', 128, 'mkfs.btrfs -q IMAGE'],
    ['f2fs', 64, 'mkfs.f2fs -q IMAGE'],
    ['iso9660', 0, 'genisoimage -quiet -o IMAGE tree'],
    ['cramfs', 0, 'mkfs.cramfs tree IMAGE'],
    ['exfat', 8, 'mkfs.exfat IMAGE'],
    ['vfat', 1, 'mkfs.vfat -F 12 IMAGE'],
    ['vfat', 16, 'mkfs.vfat -F 16 IMAGE'],
    ['vfat', 64, 'mkfs.vfat -F 32 IMAGE'],
    [
      'crypto_LUKS',
      20,
      'echo secret | cryptsetup luksFormat -q --type luks1 --pbkdf-force-iterations 1000 IMAGE -',
    ],
    [
      'crypto_LUKS',
      20,
      'echo secret | cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 IMAGE -',
    ],
  ];

  test.each(cases)('%s (%d MiB) of %s', (type, megabytes, command) => {
    const image = scratch.file('fs.raw', megabytes * MIB);
    scratch.run('sh', '-c', command.replace('IMAGE', image));
    expect(identify(image)).toEqual({ kind: 'file-system', sectorSize: 512, type, partitions: [] });
  });
});

test('the boot sector of a FAT file system is no partition table', () => {
  const image = scratch.file('fat.raw', 16 * MIB);
  scratch.run('mkfs.vfat', image);
  const fd = fs.openSync(image, 'r+');
  fs.writeSync(fd, Buffer.from([0, 0, 0, 0, 0x83, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]), 0, 16, 446);
  fs.closeSync(fd);
  expect(identify(image)).toMatchObject({ kind: 'file-system', type: 'vfat', partitions: [] });
});

test('a file system behind an MBR is one, and has its partitions as well: a hybrid ISO image', () => {
  const image = scratch.path('hybrid.iso');
  scratch.run('genisoimage', '-quiet', '-o', image, 'tree');
  fs.truncateSync(image, 8 * MIB);
  const script = `printf 'start=4MiB, size=1MiB, type=ef\\nstart=6MiB, size=1MiB, type=83\\n'`;
  scratch.run('sh', '-c', `${script} | sfdisk --quiet --no-tell-kernel --wipe=never --label dos ${image}`);
  expect(identify(image)).toEqual({
    kind: 'file-system',
    sectorSize: 512,
    type: 'iso9660',
    partitions: [
      { number: 1, start: 4 * MIB, size: MIB, type: '0xef' },
      { number: 2, start: 6 * MIB, size: MIB, type: '0x83' },
    ],
  });
});

test('a GPT over the remains of a file system is a GPT', () => {
  const image = scratch.file('over.raw', 16 * MIB);
  scratch.run('mkfs.btrfs', '-q', scratch.file('btrfs.raw', 128 * MIB));
  scratch.run(
    'sh',
    '-c',
    `echo 'start=8MiB, size=1MiB' | sfdisk --quiet --no-tell-kernel --label gpt ${image}`,
  );
  scratch.run(
    'dd',
    'if=btrfs.raw',
    `of=${image}`,
    'bs=4k',
    'skip=16',
    'seek=16',
    'count=1',
    'conv=notrunc',
    'status=none',
  );
  expect(identify(image)).toMatchObject({ kind: 'gpt' });
});

test('a partitioned disk with an MBR is recognised', () => {
  const image = scratch.file('mbr.raw', 16 * MIB);
  scratch.run('sh', '-c', `echo 'start=1MiB, type=83' | sfdisk --quiet --no-tell-kernel ${image}`);
  expect(identify(image)).toMatchObject({ kind: 'mbr', partitions: [{ number: 1, start: MIB }] });
});

describe('what is no image is refused:', () => {
  function failure(file: string): unknown {
    try {
      return identify(file);
    } catch (error) {
      return error;
    }
  }

  test('an empty file', () => {
    expect(failure(scratch.file('empty.raw', 0))).toMatchObject({
      code: 'image-unrecognised',
      message: `${scratch.path('empty.raw')} is empty`,
      hint: 'check that the image was written or downloaded',
    });
  });

  test.each([1, 600, 3 * MIB])('%d bytes of zeros', (size) => {
    expect(failure(scratch.file('zeros.raw', size))).toMatchObject({
      code: 'image-unrecognised',
      message: `${scratch.path('zeros.raw')} holds neither a partition table (GPT, MBR) nor a file system that rdpull knows`,
    });
  });

  test.each([
    ['xz', 'xz --stdout'],
    ['gzip', 'gzip --stdout'],
    ['bzip2', 'bzip2 --stdout'],
    ['zstd', 'zstd --quiet --stdout'],
  ])('an image compressed with %s', (type, command) => {
    scratch.file('disk.raw', MIB);
    scratch.run('sh', '-c', `${command} disk.raw > disk.raw.packed`);
    expect(failure(scratch.path('disk.raw.packed'))).toMatchObject({
      code: 'image-unrecognised',
      message: `${scratch.path('disk.raw.packed')} is a ${type} file, not a raw disk image`,
      hint: "decompress it first, or let 'rdpull pull' fetch it: that decompresses by itself",
    });
  });

  test.each([
    [
      'a qcow2 image',
      'qcow2',
      "convert it first (qemu-img convert -O raw), or let 'rdpull pull' fetch it: that converts by itself",
    ],
    ['a VDI image', 'vdi', 'convert it: qemu-img convert -O raw IMAGE.vdi IMAGE.raw'],
  ])('%s', (name, format, hint) => {
    scratch.file('disk.raw', MIB);
    scratch.run('qemu-img', 'convert', '-O', format, 'disk.raw', 'disk.foreign');
    expect(failure(scratch.path('disk.foreign'))).toMatchObject({
      code: 'image-unrecognised',
      message: `${scratch.path('disk.foreign')} is ${name}, not a raw disk image`,
      hint,
    });
  });
});
