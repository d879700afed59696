import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { RdpullError } from '../../src/console/rdpull-error.ts';
import { detectCompression } from '../../src/decode/compression.ts';
import { recogniseForeignEnd, recogniseForeignFormat } from '../../src/decode/foreign-format.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const directory = new TemporaryDirectory();
const image = directory.file('original.raw');
afterAll(() => directory[Symbol.dispose]());

beforeAll(() => {
  fs.writeFileSync(image, noiseOf(100_000));
  fs.truncateSync(image, 1 << 20);
});

const sh = (command: string) => run(['sh', '-c', command], { cwd: directory.path });

function refusal(file: string): RdpullError {
  try {
    detectCompression(fs.readFileSync(directory.file(file)));
  } catch (error) {
    if (error instanceof RdpullError) return error;
    throw error;
  }
  throw new Error(`${file} is not refused`);
}

/** Who makes it, and what the remedy that is shown makes of it. */
const MADE: readonly [name: string, file: string, make: string][] = [
  ['an lzip file', 'IMAGE.lz', 'lzip -c'],
  ['a file of compress', 'IMAGE.Z', 'compress -c'],
  ['an lzop file', 'IMAGE.lzo', 'lzop -c'],
  ['an lrzip file', 'IMAGE.lrz', 'lrzip -q -L1 -o IMAGE.lrz'],
  ['an lzma file', 'IMAGE.lzma', 'xz --format=lzma -c'],
  ['an lz4 stream', 'IMAGE.lz4', 'lz4 -c'],
  ['an lz4 stream of the old format', 'IMAGE.lz4', 'lz4 -l -c'],
  ['a 7z archive', 'IMAGE.7z', '7z a -bd -bso0 IMAGE.7z'],
  ['a zip archive', 'IMAGE.zip', '7z a -bd -bso0 -tzip IMAGE.zip'],
  ['a VMDK image', 'IMAGE.vmdk', 'qemu-img convert -O vmdk'],
  ['a VMDK image', 'IMAGE.vmdk', 'qemu-img convert -O vmdk -o subformat=streamOptimized'],
  ['the descriptor of a VMDK image', 'IMAGE.vmdk', 'qemu-img convert -O vmdk -o subformat=monolithicFlat'],
  ['a VHDX image', 'IMAGE.vhdx', 'qemu-img convert -O vhdx'],
  ['a VHD image', 'IMAGE.vhd', 'qemu-img convert -O vpc -o force_size=on'],
  ['a VDI image', 'IMAGE.vdi', 'qemu-img convert -O vdi'],
  ['a QED image', 'IMAGE.qed', 'qemu-img convert -O qed'],
  ['a Parallels image', 'IMAGE.hdd', 'qemu-img convert -O parallels'],
  ['an Android sparse image', 'IMAGE.simg', 'img2simg'],
];

test.each(MADE)(
  '%s (%s) of %s is refused by its name, and the remedy makes the image of it',
  (name, file, make) => {
    const writesItself = /^(?:qemu-img|img2simg)/.test(make);
    if (writesItself) sh(`${make} original.raw ${file}`);
    else if (make.includes(file)) sh(`${make} original.raw`);
    else sh(`${make} original.raw > ${file}`);

    const { code, message, hint } = refusal(file);
    expect(code).toBe('stream-unsupported');
    expect(message).toBe(
      `the file is ${name}, and rdpull reads xz, zstd, gzip, bzip2 and uncompressed files`,
    );
    expect(hint).toStartWith('convert it: ');
    sh(hint.slice('convert it: '.length));
    const made = hint.endsWith('IMAGE.xz')
      ? sh('xz -dc IMAGE.xz')
      : fs.readFileSync(directory.file('IMAGE.raw'));
    expect(made.equals(fs.readFileSync(image))).toBe(true);
    sh('rm -f IMAGE*');
  },
);

test('a VHD of fixed size is told by its end', () => {
  sh('qemu-img convert -O vpc -o subformat=fixed,force_size=on original.raw IMAGE.vhd');
  const made = fs.readFileSync(directory.file('IMAGE.vhd'));
  expect(detectCompression(made.subarray(0, 512))).toBe('none');
  const format = recogniseForeignEnd(made.subarray(-512));
  expect(format?.name).toBe('a VHD image of fixed size');
  sh(format?.remedy.replace('convert it: ', '') ?? 'false');
  expect(fs.readFileSync(directory.file('IMAGE.raw')).equals(fs.readFileSync(image))).toBe(true);
  expect(recogniseForeignEnd(fs.readFileSync(image).subarray(-512))).toBeUndefined();
});

describe('zstd', () => {
  beforeAll(() => {
    fs.mkdirSync(directory.file('samples'));
    for (let each = 0; each < 100; each++)
      directory.write(`samples/${each}`, Buffer.from(noiseOf(3000, 1 + each).toString('hex')));
    sh('zstd -q --train samples/* -o dictionary');
  });

  test('of a dictionary it is said that it is one', () => {
    expect(refusal('dictionary')).toMatchObject({
      message: 'the file is a zstd dictionary, and rdpull reads xz, zstd, gzip, bzip2 and uncompressed files',
      hint: 'serve the image itself, compressed without it: zstd IMAGE.raw',
    });
  });

  test('what needs a dictionary is refused by its first bytes', () => {
    sh('zstd -q -f -D dictionary original.raw -o with.zst');
    const number = fs.readFileSync(directory.file('dictionary')).readUInt32LE(4);
    expect(refusal('with.zst')).toMatchObject({
      code: 'stream-unsupported',
      message: `the zstd stream was compressed with a dictionary (number ${number}), without which nobody can read it`,
      hint: 'compress the image without: zstd IMAGE.raw, with neither -D nor --patch-from',
    });
  });

  test.each(['fd2fb51e', '22b52ffd', '27b52ffd'])('before 0.8 had other magic numbers: %s', (magic) => {
    expect(recogniseForeignFormat(Buffer.from(`${magic}00000000`, 'hex'))?.name).toBe(
      'a zstd stream of a version before 0.8',
    );
  });
});

describe('what is no such file is not taken for one:', () => {
  test.each([
    ['zeros', Buffer.alloc(512)],
    ['a boot sector that begins like .lzma', Buffer.from('5d00001000ffeeddccbbaa990000', 'hex')],
    ['.lzma of a dictionary that nobody makes', Buffer.from('5d34120000ffffffffffffffff00', 'hex')],
    ['a range coder that cannot begin so', Buffer.from('5d00008000ffffffffffffffff01', 'hex')],
    ['an ISO image', Buffer.concat([Buffer.alloc(32768), Buffer.from('\x01CD001')])],
    ['squashfs', Buffer.from('hsqs')],
    ['nothing', Buffer.alloc(0)],
  ])('%s', (_, start) => {
    expect(recogniseForeignFormat(start)).toBeUndefined();
  });
});
