import { afterAll, beforeAll, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import zlib from 'node:zlib';
import { rdpull } from '../fixtures/executable.ts';
import { run } from '../fixtures/run.ts';
import { directory, file, paxHeader, tarArchive, tarHeader, tarMember } from '../fixtures/tar.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const MIB = 1024 * 1024;
/** What a pull may take at most, and what it may note of directories, in bytes. */
const BOUND = (150 + 64) * MIB;

const temporary = new TemporaryDirectory();
const mounted = temporary.file('mounted');

beforeAll(() => {
  fs.mkdirSync(mounted);
  run(['mount', '-t', 'tmpfs', '-o', 'size=256m,nr_inodes=10000', 'rdpull-test', mounted]);
  fs.mkdirSync(path.join(mounted, 'images'));
});
afterAll(() => {
  run(['umount', mounted]);
  temporary[Symbol.dispose]();
});

const many = (count: number, member: (index: number) => Uint8Array) =>
  Array.from({ length: count }, (_, i) => member(i));
const deepPath = (i: number) => `${`${i}/`.repeat(200)}f`;
const sparse = (size: string) =>
  paxHeader([
    ['GNU.sparse.size', size],
    ['GNU.sparse.map', '0,4'],
  ]);

/** A few KiB each, compressed, and what they end with: at the latest when the inodes of the file system do. */
const BOMBS = {
  'many files': { members: () => many(12_000, (i) => file(`${i % 97}/${i}`, '')), code: 'disk-full' },
  'many directories': { members: () => many(12_000, (i) => directory(`${i % 97}/${i}`)), code: 'disk-full' },
  'deep paths': {
    members: () => many(80, (i) => Buffer.concat([paxHeader([['path', deepPath(i)]]), file('')])),
    code: 'disk-full',
  },
  'a file of 2^52 bytes, all hole': {
    members: () => [sparse('4503599627370496'), file('f')],
    code: 'limit-exceeded',
  },
  'a file of 2^62 bytes, all hole': {
    members: () => [sparse('4611686018427387904'), file('f')],
    code: 'tar-malformed',
  },
  'a path of 300 names': {
    members: () => [paxHeader([['path', 'd/'.repeat(300)]]), directory('')],
    code: 'limit-exceeded',
  },
  'a header of 1 GiB': {
    members: () => [tarHeader({ name: 'x', type: 'x', size: 2 ** 30 }), ...many(64, () => Buffer.alloc(MIB))],
    code: 'limit-exceeded',
  },
  'extended attributes of 64 KiB on each file': {
    members: () => {
      const attributes = paxHeader([['SCHILY.xattr.trusted.a', Buffer.alloc(65536, 'a')]]);
      return many(1000, (i) => Buffer.concat([attributes, tarMember({ name: `${i}` })]));
    },
    code: undefined, // the kernel may or may not count them
  },
} as const;

test.each(Object.entries(BOMBS))(
  '%s: an end with a code, bounded memory, nothing left',
  async (_, { members, code }) => {
    const bomb = temporary.write('bomb.tar.gz', zlib.gzipSync(tarArchive(...members())));
    expect(fs.statSync(bomb).size).toBeLessThan(MIB);
    const before = fs.statfsSync(mounted);
    const figure = temporary.file('rss');
    const { status, stdout, stderr } = await rdpull(
      [
        'pull',
        '--type=tar',
        '--verify=no',
        '--json',
        '--local=x',
        `--image-root=${mounted}/images`,
        `file://${bomb}`,
      ],
      { wrapper: ['/usr/bin/time', '--quiet', '--format=%M', `--output=${figure}`] },
    );
    if (code !== undefined) {
      expect({ stdout, stderr }).toMatchObject({ stdout: expect.stringContaining(`"code":"${code}"`) });
      expect(status).toBeGreaterThan(0);
    }
    expect(Number(fs.readFileSync(figure, 'utf8')) * 1024).toBeLessThan(BOUND);
    if (status === 0) run(['rm', '-r', path.join(mounted, 'images/x')]);
    expect(fs.readdirSync(path.join(mounted, 'images'))).toEqual([]);
    const { ffree, bfree } = fs.statfsSync(mounted);
    expect({ ffree, bfree }).toEqual({ ffree: before.ffree, bfree: before.bfree });
  },
);
