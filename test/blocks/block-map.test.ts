import { describe, expect, test } from 'bun:test';
import { MAX_BLOCK_BYTES } from '../../src/blocks/block-map.ts';
import { openBlockMap } from '../../src/blocks/open-block-map.ts';
import { run } from '../fixtures/run.ts';
import { SeededRandom } from '../request/seeded-random.ts';
import { fileOf, imageOf, mapOf, readThrough, reasonOf } from './mapped-image.ts';
import { seekableZstd, seekTable } from './seekable-zstd.ts';

const KIB = 1024;
const MIB = KIB * KIB;
const random = new SeededRandom(20_261_128);
const image = imageOf(random, 3 * MIB + 1234);
const xz = (input: Uint8Array, ...options: string[]) => run(['xz', '-c', '-0', ...options], { input });

/** The image in pieces of any lengths, some of them empty. */
function pieces(most: number): Buffer[] {
  const result: Buffer[] = [];
  for (let at = 0; at < image.length; ) {
    const length = random.below(8) === 0 ? 0 : 1 + random.below(most);
    result.push(image.subarray(at, at + length));
    at += length;
  }
  return result;
}

const padding = Buffer.alloc(12);

describe('any part that is read through the map is that of the image:', () => {
  test.each<[string, string, () => Buffer]>([
    ['as it is', 'raw', () => image],
    ['xz in blocks of 1 MiB', 'xz', () => xz(image, '-T2', '--block-size=1MiB')],
    ['xz in blocks of 64 KiB by one thread', 'xz', () => xz(image, '-T1', '--block-size=64KiB')],
    ['xz in blocks of odd lengths', 'xz', () => xz(image, '--block-list=1,70000,3,500000,4097,0')],
    ['xz with CRC32', 'xz', () => xz(image, '--block-size=300KiB', '--check=crc32')],
    ['xz with SHA-256', 'xz', () => xz(image, '--block-size=300KiB', '--check=sha256')],
    ['xz without checks', 'xz', () => xz(image, '--block-size=300KiB', '--check=none')],
    ['xz with the filter for x86', 'xz', () => xz(image, '--block-size=300KiB', '--x86', '--lzma2=preset=1')],
    ['xz -9, whose dictionary is larger than its blocks', 'xz', () => xz(image, '-9', '--block-size=512KiB')],
    [
      'xz in several streams with padding, some of them empty',
      'xz',
      () =>
        Buffer.concat(pieces(900 * KIB).flatMap((each) => [xz(each, '-T2', '--block-size=100KiB'), padding])),
    ],
    ['zstd in frames', 'zstd', () => seekableZstd(pieces(400 * KIB), false)],
    ['zstd in frames with checksums', 'zstd', () => seekableZstd(pieces(400 * KIB), true)],
    [
      'zstd in frames without their own checks',
      'zstd',
      () => seekableZstd(pieces(400 * KIB), true, ['--no-check']),
    ],
    ['zstd --long', 'zstd', () => seekableZstd(pieces(MIB), true, ['-1', '--long=27'])],
  ])('%s', async (_, format, make) => {
    const file = make();
    const map = await mapOf(file);
    expect(map).toMatchObject({ format, size: image.length });
    expect((await readThrough(map, file, 0, image.length)).equals(image)).toBe(true);
    for (let round = 0; round < 40; round++) {
      const offset = random.below(image.length);
      const length = 1 + random.below(Math.min(image.length - offset, round % 2 === 0 ? 5000 : MIB));
      const part = await readThrough(map, file, offset, length);
      expect(part.equals(image.subarray(offset, offset + length))).toBe(true);
    }
  });
});

describe('a stored block is the same for each of its bytes:', () => {
  test.each<[string, () => Buffer]>([
    ['raw', () => image],
    ['xz', () => xz(image, '--block-list=1,70000,3,500000,4097,0')],
    ['zstd', () => seekableZstd(pieces(400 * KIB), true)],
  ])('%s', async (_, make) => {
    const map = await mapOf(make());
    for (let at = 0; at < map.size; ) {
      const block = await map.at(at);
      expect(block.start).toBe(at);
      at += block.length;
      expect(await map.at(at - 1)).toEqual(block);
      expect(await map.at(at - 1 - random.below(block.length))).toEqual(block);
    }
    for (const offset of [map.size, map.size + 1, -1])
      await expect(map.at(offset)).rejects.toThrow(RangeError);
  });
});

describe('one read is enough to learn where everything is:', () => {
  test.each<[string, Buffer]>([
    ['xz', xz(image, '-T2', '--block-size=64KiB')],
    ['zstd', seekableZstd(pieces(400 * KIB), true)],
  ])('%s', async (_, bytes) => {
    const file = fileOf(bytes);
    await openBlockMap(bytes.subarray(0, 512), file);
    expect(file.reads).toEqual([[bytes.length - 65_536, 65_536]]);
  });
});

describe('a file without blocks says why:', () => {
  const small = image.subarray(0, 50_000);
  const zstd = (...options: string[]) => run(['zstd', '-q', '-c', ...options], { input: small });
  const single = { stored: zstd().length, length: small.length, checksum: 0 };
  test.each<[string, Uint8Array, string]>([
    ['a single block of xz', xz(small), 'is a single block of xz'],
    ['xz of nothing', xz(new Uint8Array(0)), 'is empty'],
    [
      'an xz file that was cut',
      xz(small, '--block-size=10KiB').subarray(0, -1),
      'has no xz index that can be read',
    ],
    [
      'a block too large',
      xz(Buffer.alloc(80 * MIB), '--block-size=40MiB'),
      `has a block of 40.0 MiB, and ${MAX_BLOCK_BYTES / MIB}.0 MiB is the most that is read at once`,
    ],
    ['one frame of zstd', Buffer.concat([zstd(), seekTable([single], false)]), 'is a single frame of zstd'],
    [
      'zstd without a seek table',
      zstd(),
      'is compressed with zstd without a seek table, and can only be read from its beginning',
    ],
    [
      'frames without a seek table',
      Buffer.concat([zstd(), zstd()]),
      'is compressed with zstd without a seek table, and can only be read from its beginning',
    ],
    [
      'pzstd',
      run(['pzstd', '-q', '-c', '-p', '2'], { input: small }),
      'is compressed with zstd without a seek table, and can only be read from its beginning',
    ],
    [
      'a seek table of something else',
      Buffer.concat([zstd(), zstd(), seekTable([single], false)]),
      'has a damaged zstd seek table',
    ],
    [
      'gzip',
      run(['gzip', '-c'], { input: small }),
      'is compressed with gzip, which can only be read from its beginning',
    ],
    [
      'bzip2',
      run(['bzip2', '-c'], { input: small }),
      'is compressed with bzip2, which can only be read from its beginning',
    ],
    ['nothing', new Uint8Array(0), 'is empty'],
  ])('%s', async (_, file, reason) => {
    expect(await reasonOf(file)).toBe(reason);
  });
});
