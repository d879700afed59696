import { afterAll, expect, test } from 'bun:test';
import fs from 'node:fs';
import { rdpull } from '../fixtures/executable.ts';
import { run } from '../fixtures/run.ts';
import {
  directory,
  file,
  hardLink,
  link,
  makeTreeDirectory,
  paxHeader,
  paxRecord,
  tarArchive,
  tarMember,
} from '../fixtures/tar.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

/**
 * Everything that a tarball can make rdpull keep, at its limit, and as often as it may: each of these is a file of some 100 KB.
 */
const MIB = 1024 * 1024;
/** The whole program, with 60 MiB of what is kept, and what that leaves behind. */
const BOUND = (150 + 64) * MIB;
/** A PAX header with such a value is as long as one may be. */
const LONGEST = MIB - 100;

const temporary = new TemporaryDirectory();
const target = makeTreeDirectory();
afterAll(() => {
  temporary[Symbol.dispose]();
  fs.rmSync(target, { recursive: true });
});

const ACL = 'user::rwx\ngroup::r-x\nmask::rwx\nother::r-x\n';
const padded = (text: string, length: number) => text + '#'.padEnd(length - text.length, 'x');
const many = (count: number, member: (index: number) => Uint8Array) =>
  Array.from({ length: count }, (_, index) => member(index));
const withPax = (records: readonly (readonly [string, string | Uint8Array])[], member: Uint8Array) =>
  Buffer.concat([paxHeader(records), member]);
/** Members with one PAX header, each with its own number in it. */
const manyWith = (
  count: number,
  key: string,
  value: (index: number) => string,
  member = (i: number) => file(`${i}`, ''),
) => many(count, (index) => withPax([[key, value(index)]], member(index)));

const ARCHIVES: Readonly<Record<string, () => readonly Uint8Array[]>> = {
  'access ACLs with a name and a megabyte of comment': () =>
    manyWith(300, 'SCHILY.acl.access', () => padded(`user:daemon:r-x\n${ACL}`, LONGEST)),
  'default ACLs of directories, likewise': () =>
    manyWith(
      300,
      'SCHILY.acl.default',
      () => padded(`user:daemon:r-x\n${ACL}`, LONGEST),
      (i) => directory(`${i}/`),
    ),
  'access ACLs with the longest names, all different': () =>
    manyWith(
      40,
      'SCHILY.acl.access',
      (i) => ACL + many(3500, (j) => Buffer.from(`user:${`${i}-${j}-`.padEnd(255, 'n')}:r-x\n`)).join(''),
    ),
  'access ACLs with as many entries as there can be': () =>
    manyWith(300, 'SCHILY.acl.access', () => `${ACL}user:daemon:r-x\n${'u:1:r\n'.repeat(8180)}`),
  'binary ACLs of directories': () =>
    many(1100, (i) =>
      withPax([['SCHILY.xattr.system.posix_acl_default', Buffer.alloc(65_000)]], directory(`${i}/`)),
    ),
  'fifteen extended attributes of the largest size': () =>
    many(40, (i) =>
      withPax(
        many(15, (j) => Buffer.from(`SCHILY.xattr.user.${j}`)).map((key) => [
          key.toString(),
          Buffer.alloc(65_536),
        ]),
        file(`${i}`, ''),
      ),
    ),
  'tens of thousands of empty extended attributes of one member': () =>
    many(8, (i) =>
      tarMember(
        { name: 'PaxHeader', type: 'x' },
        Buffer.concat(many(34_000, (j) => paxRecord(`SCHILY.xattr.${i}-${j}.`, ''))),
      ),
    ).map((header, i) => Buffer.concat([header, file(`${i}`, '')])),
  'global headers of the longest values': () =>
    many(300, (i) => paxHeader([[`comment.${i}`, 'x'.repeat(LONGEST)]], 'g')).concat(
      many(300, () => paxHeader([['path', 'p'.repeat(4000)]], 'g')),
    ),
  'long names and link targets of GNU': () =>
    many(500, (i) =>
      Buffer.concat([
        tarMember({ name: '././@LongLink', type: 'K' }, `t${'\0'.repeat(65_000)}`),
        tarMember({ name: '././@LongLink', type: 'L' }, `${i}${'\0'.repeat(65_000)}`),
        link('x', 'y'),
      ]),
    ),
  'directories with the longest paths': () =>
    many(20_000, (i) =>
      withPax([['path', `${`${i % 7}${'d'.repeat(250)}/`.repeat(15)}${i}/`]], directory('')),
    ),
  'hard links with the longest targets': () => [
    file('f'),
    ...many(2000, (i) => withPax([['linkpath', `${'./'.repeat(2000)}f`]], hardLink(`${i}`, ''))),
  ],
  'sparse files in as many pieces as a header has place for': () =>
    many(40, (i) => {
      const map = many(60_000, (j) => Buffer.from(`${j * 8},1`)).join(',');
      return withPax(
        [
          ['GNU.sparse.size', '1000000'],
          ['GNU.sparse.map', map],
        ],
        tarMember({ name: `${i}` }, Buffer.alloc(60_000)),
      );
    }),
  'a sparse file in a million pieces': () => {
    const lines = many(999_999, (i) => Buffer.from(`${i * 2}\n1\n`));
    const map = Buffer.concat([Buffer.from('999999\n'), ...lines]);
    const padding = Buffer.alloc((512 - (map.length % 512)) % 512);
    const records = [
      ['GNU.sparse.major', '1'],
      ['GNU.sparse.minor', '0'],
      ['GNU.sparse.realsize', '3000000'],
    ] as const;
    return [withPax(records, tarMember({ name: 's' }, Buffer.concat([map, padding, Buffer.alloc(999_999)])))];
  },
  'a table of accounts of the largest size': () => [
    withPax([['SCHILY.acl.access', `user:a1:r-x\n${ACL}`]], file('f')),
    tarMember({ name: 'etc/passwd' }, Buffer.concat(many(350_000, (i) => Buffer.from(`a${i}::1\n`)))),
  ],
  'members of unknown types': () =>
    many(60_000, (i) => tarMember({ name: `${i % 50}/${i % 1000}`, type: 'Z' })),
};

test.each(Object.keys(ARCHIVES))('%s', async (name) => {
  const members = ARCHIVES[name]?.() ?? [];
  const archive = temporary.write(
    'a.tar.zst',
    run(['zstd', '-q', '-3', '-c'], { input: tarArchive(...members) }),
  );
  const figure = temporary.file('rss');
  const { stderr } = await rdpull(
    [
      'pull',
      '--type=tar',
      '--verify=no',
      '--local=x',
      '--force',
      `--image-root=${target}`,
      `file://${archive}`,
    ],
    { wrapper: ['/usr/bin/time', '--quiet', '--format=%M', `--output=${figure}`] },
  );
  const peak = Number(fs.readFileSync(figure, 'utf8')) * 1024;
  expect(peak).toBeLessThan(BOUND);
  expect(stderr.split('\n').length).toBeLessThan(20);
  fs.rmSync(`${target}/x`, { recursive: true, force: true });
});
