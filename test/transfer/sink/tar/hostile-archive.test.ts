import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { RdpullError } from '../../../../src/console/rdpull-error.ts';
import { run } from '../../../fixtures/run.ts';
import {
  directory,
  file,
  hardLink,
  link,
  listTree,
  makeTreeDirectory,
  paxHeader,
  tarArchive,
  tarHeader,
  tarMember,
  unpack,
} from '../../../fixtures/tar.ts';

/**
 * Published attacks on programs that unpack tar archives, by the number each became known under. The directory beside
 * the target must be the same after each: names, contents, modes, owners, times, attributes.
 */
let base: string;
let target: string;
let outside: string;
let outsideBefore: string;
let outsideListed: string;
let warnings: string[];

beforeAll(() => {
  base = makeTreeDirectory();
  outside = path.join(base, 'outside');
  fs.mkdirSync(path.join(outside, 'sub'), { recursive: true });
  fs.writeFileSync(secret(), 'someone:x:4242:1::/:\n');
  outsideBefore = outsideNow();
  outsideListed = listTree(outside);
});
afterAll(() => {
  expect(listTree(outside)).toBe(outsideListed);
  fs.rmSync(base, { recursive: true, force: true });
});

beforeEach(() => {
  target = fs.mkdtempSync(path.join(base, 'target-'));
  warnings = [];
});
afterEach(() => {
  expect(outsideNow()).toBe(outsideBefore);
});

const secret = () => path.join(outside, 'secret');

/** Any change at all, be it of a name or an attribute, shows in the time of the last change, which nobody can set. */
function outsideNow(): string {
  const inodes = ['', 'secret', 'sub'].map((name) => fs.statSync(path.join(outside, name), { bigint: true }));
  return `${inodes.map(({ ctimeNs }) => ctimeNs).join(' ')} ${fs.readFileSync(secret(), 'utf8')}`;
}

const inTarget = (...names: string[]) => path.join(target, ...names);
const read = (...names: string[]) => fs.readFileSync(inTarget(...names), 'utf8');

function unpackAll(...members: Uint8Array[]): void {
  unpack(tarArchive(...members), target, { warn: (message) => warnings.push(message) });
}

/** The error that unpacking `members` ends with. */
function failure(...members: Uint8Array[]): RdpullError {
  try {
    unpackAll(...members);
  } catch (error) {
    if (error instanceof RdpullError) return error;
    throw error;
  }
  throw new Error('the archive was unpacked');
}

const hostile = { mode: 0o4777, uid: 77, gid: 78, mtime: 1 };

describe('node-tar', () => {
  test('CVE-2018-20834: a hard link to a link to the outside, then a file of its name', () => {
    unpackAll(link('x', secret()), hardLink('y', 'x'), file('y', 'inside'), file('x', 'inside'));
    expect([read('x'), read('y')]).toEqual(['inside', 'inside']);
  });

  test('CVE-2021-32803: a directory, a link in its place, a file through it', () => {
    const error = failure(directory('x'), link('x', outside), file('x/secret', 'overwritten'));
    expect(error.code).toBe('tar-escape');
  });

  test.each(['//etc/passwd', '////etc/passwd', '/./etc/passwd', '/..//etc/passwd'])(
    'CVE-2021-32804: the absolute path %s, of which one slash is taken off',
    (name) => {
      expect(failure(file(name)).code).toBe('tar-escape');
      expect(failure(hardLink('x', name)).code).toBe('tar-escape');
    },
  );

  test('CVE-2021-37701: backslashes are part of a name, and no way around the check of a link', () => {
    unpackAll(directory('a\\b'), file('a\\b/f'), link('a', outside), file('a\\secret'), file('..\\..\\x'));
    expect(fs.readdirSync(target).sort()).toEqual(['..\\..\\x', 'a', 'a\\b', 'a\\secret']);
    expect(failure(link('b\\c', outside), file('b\\c/secret')).code).toBe('tar-escape');
  });

  test('CVE-2021-37701: names that differ in case are two', () => {
    unpackAll(directory('FOO'), link('foo', outside), file('FOO/secret', 'inside'));
    expect(read('FOO', 'secret')).toBe('inside');
    expect(failure(directory('BAR'), link('bar', outside), file('bar/secret')).code).toBe('tar-escape');
  });

  test.each([
    ['\u00e9', 'e\u0301'],
    ['\ufb00', 'ff'],
    ['\u00df', 'ss'],
    ['K', '\u212a'],
  ])('CVE-2021-37712, CVE-2026-23950: %s and %s are two names', (one, other) => {
    unpackAll(directory(one), link(other, outside), file(`${one}/secret`, 'inside'));
    expect(read(one, 'secret')).toBe('inside');
    expect(failure(file(`${other}/secret`)).code).toBe('tar-escape');
  });

  test('CVE-2021-37713: drive letters and the like are plain names', () => {
    unpackAll(file('C:/x'), file('c:..\\x'), file('\\\\?\\C:\\x'), file('C:x'));
    expect(fs.readdirSync(target).sort()).toEqual(['C:', 'C:x', '\\\\?\\C:\\x', 'c:..\\x']);
    expect(failure(file('C:../../x/../../../secret')).code).toBe('tar-escape');
  });

  test('CVE-2024-28863: a path of thousands of directories', () => {
    expect(failure(paxHeader([['path', `${'a/'.repeat(2000)}f`]]), file('')).code).toBe('limit-exceeded');
    expect(failure(paxHeader([['path', `${'a/'.repeat(200_000)}f`]]), file('')).code).toBe('limit-exceeded');
  });

  test('CVE-2026-23745, CVE-2026-26960: hard links to the outside, by name or through links', () => {
    for (const to of [secret(), `..${outside}/secret`, '../secret', './../secret', 'd/../../secret']) {
      expect(failure(directory('d'), paxHeader([['linkpath', to]]), hardLink('x', '')).code).toBe(
        'tar-escape',
      );
    }
    const chain = [link('a', '.'), link('b', '..'), link('c', outside)];
    expect(failure(...chain, hardLink('x', 'a/c/secret')).code).toBe('tar-escape');
    expect(failure(hardLink('x', 'b/secret')).code).toBe('tar-escape');
    expect(fs.existsSync(inTarget('x'))).toBe(false);
  });
});

describe('GNU tar', () => {
  test('CVE-2016-6321: dots in the middle, behind what is then taken off', () => {
    for (const name of ['etc/motd/../etc/shadow', 'a/../../secret', 'a/b/../../../secret', 'a/..']) {
      expect(failure(file(name)).code).toBe('tar-escape');
    }
    expect(fs.readdirSync(target)).toEqual([]);
  });

  test('CVE-2022-48303: a number field without any digit', () => {
    for (const [at, length] of [
      [100, 8],
      [108, 8],
      [124, 12],
      [136, 12],
    ] as const) {
      unpackAll(tarHeader({ name: 'x', magic: '\0', raw: [[at, Buffer.alloc(length, ' ')]] }));
      expect(failure(tarHeader({ name: 'x', raw: [[at, Buffer.alloc(length, '-')]] })).code).toBe(
        'tar-malformed',
      );
    }
  });

  test('CVE-2025-45582: a second archive goes through the link that the first one left', () => {
    unpackAll(link('x', outside));
    expect(failure(file('x/secret', 'overwritten')).code).toBe('tar-escape');
    unpackAll(link('y', secret()));
    unpackAll(file('y', 'inside'));
    expect(read('y')).toBe('inside');
  });
});

describe('Python', () => {
  test('CVE-2007-4559: climbing and absolute names, of members and of hard link targets', () => {
    for (const name of ['../secret', '../../../../../../etc/passwd', secret()]) {
      expect(failure(paxHeader([['path', name]]), file('')).code).toBe('tar-escape');
    }
  });

  test('CVE-2024-12718: mode and times of what lies outside, through a link', () => {
    unpackAll(
      link('x', secret()),
      tarMember({ name: 'y', type: '1', linkName: 'x', ...hostile }),
      tarMember({ name: 'x', type: '2', linkName: secret(), ...hostile }),
      link('d', path.join(outside, 'sub')),
      tarMember({ name: 'd', type: '5', ...hostile }),
    );
    expect(fs.lstatSync(inTarget('d')).isDirectory()).toBe(true);
    const dots = failure(tarMember({ name: 'e/../../outside', type: '5', ...hostile }));
    expect(dots.code).toBe('tar-escape');
  });

  test('CVE-2025-4138, CVE-2025-4330: a relative link that climbs only from where a hard link lifts it to', () => {
    fs.mkdirSync(path.join(target, 'tree'));
    const home = target;
    target = path.join(target, 'tree'); // "../name" is beside it
    const climbing = link('a/b/c', '../../name');
    unpackAll(
      directory('a'),
      directory('a/b'),
      climbing,
      hardLink('lifted', 'a/b/c'),
      file('lifted', 'inside'),
    );
    expect(read('lifted')).toBe('inside');
    expect(failure(link('a/b/d', '../..'), hardLink('up', 'a/b/d'), file('up/name')).code).toBe('tar-escape');
    expect(fs.readdirSync(home)).toEqual(['tree']);
  });

  test('CVE-2025-4517: a chain of links whose resolved path is longer than PATH_MAX', () => {
    const members: Uint8Array[] = [];
    const long = 'd'.repeat(247);
    let at = '';
    const short: string[] = [];
    for (const step of 'abcdefghijklmnop') {
      members.push(paxHeader([['path', `${at}${long}`]]), directory(''));
      members.push(
        paxHeader([
          ['path', `${at}${step}`],
          ['linkpath', long],
        ]),
        link('', ''),
      );
      at += `${long}/`;
      short.push(step);
    }
    const chain = short.join('/');
    const climb = `${chain}/${'l'.repeat(254)}`;
    const attacks = [
      [
        paxHeader([['linkpath', `${climb}/../../../../outside`]]),
        link('escape', ''),
        hardLink('flag', 'escape/secret'),
      ],
      [paxHeader([['path', climb]]), link('', '..'.repeat(16))],
      [paxHeader([['linkpath', `${climb}/../../outside/secret`]]), hardLink('flag', '')],
    ];
    for (const attack of attacks) {
      target = fs.mkdtempSync(path.join(base, 'target-'));
      expect(failure(...members, ...attack, file('flag', 'overwritten')).code).toBe('tar-escape');
    }
  });

  test('a header that says less than nothing, or more than there can be', () => {
    const overflow = (first: number, rest: number) =>
      tarHeader({ name: 'f', raw: [[124, Buffer.from([first, ...Array.from({ length: 11 }, () => rest)])]] });
    for (const header of [overflow(0x80, 0xff), overflow(0xff, 0), overflow(0xff, 0xff), overflow(0xc0, 0)]) {
      expect(failure(header).code).toBe('tar-malformed');
    }
    for (const size of [
      '-1',
      '9223372036854775807',
      '18446744073709551616',
      '1e9',
      '0x10',
      '9'.repeat(400),
    ]) {
      expect(failure(paxHeader([['size', size]]), file('f')).code).toBe('tar-malformed');
    }
    expect(failure(paxHeader([['size', '9007199254740991']]), file('f')).code).toBe('limit-exceeded');
  });
});

describe('libarchive', () => {
  test('CVE-2016-5418: a hard link to a link, with data to be written', () => {
    const withData = tarMember({ name: 'y', type: '1', linkName: 'x', ...hostile }, 'overwritten');
    unpackAll(link('x', secret()), paxHeader([['mtime', '1']]), withData, withData);
    expect(fs.readlinkSync(inTarget('y'))).toBe(secret());
  });

  test('CVE-2021-23177, CVE-2021-31566: ACLs, modes and flags of links, at once and at the end', () => {
    const attributes = paxHeader([
      ['SCHILY.acl.access', 'user::rwx,user:daemon:rwx,user:7:rwx,group::rwx,mask::rwx,other::rwx'],
      ['SCHILY.acl.default', 'user::rwx,group::rwx,other::rwx'],
      ['SCHILY.fflags', 'immutable'],
    ]);
    unpackAll(
      attributes,
      tarMember({ name: 'x', type: '2', linkName: secret(), ...hostile }),
      attributes,
      tarMember({ name: 'd', type: '5', ...hostile }),
      link('d', path.join(outside, 'sub')),
      attributes,
      tarMember({ name: 'f', ...hostile }),
      link('f', secret()),
      hardLink('g', 'x'),
    );
    expect(fs.readlinkSync(inTarget('d'))).toBe(path.join(outside, 'sub'));
    expect(fs.readlinkSync(inTarget('f'))).toBe(secret());
  });
});

describe('container tools', () => {
  test('hard links and links that lead each other outside, in all orders', () => {
    const loops = [
      [link('x', '../secret'), hardLink('x/y', 'x')],
      [link('x', outside), hardLink('y', 'x/secret'), file('y', 'overwritten')],
      [link('x', outside), link('x/sub', 'x'), file('x/sub/f')],
      [link('x', outside), hardLink('z', 'x'), file('z/secret', 'overwritten')],
      [link('x', 'y'), link('y', 'z'), link('z', outside), file('x/secret', 'overwritten')],
      [link('x', 'x'), file('x/f')],
      [link('x', '/proc/self/root'), file(`x${outside}/f`)],
      [link('x', '/proc/self/fd'), file('x/3')],
    ];
    for (const members of loops) {
      target = fs.mkdtempSync(path.join(base, 'target-'));
      expect(failure(...members).code).toBe('tar-escape');
    }
  });

  test('a chain of a thousand links', () => {
    const chain = Array.from({ length: 1000 }, (_, i) => link(`l${i}`, i === 0 ? outside : `l${i - 1}`));
    expect(failure(...chain, file('l999/secret', 'overwritten')).code).toBe('tar-escape');
  });

  test('a directory that turned into a link to the outside before it has its attributes', () => {
    unpackAll(
      paxHeader([['SCHILY.xattr.trusted.mark', 'x']]),
      tarMember({ name: 'd', type: '5', ...hostile }),
      link('d', path.join(outside, 'sub')),
    );
    expect(fs.readlinkSync(inTarget('d'))).toBe(path.join(outside, 'sub'));
  });

  test('a directory that nobody may enter, then what lies in it', () => {
    unpackAll(directory('d', 0), directory('d/e', 0), file('d/e/f'), link('d/e/l', outside));
    expect(fs.statSync(inTarget('d')).mode).toBe(0o40000);
    expect(read('d', 'e', 'f')).toBe('data');
  });

  test('/etc/passwd as a link to the outside is not read for the names in ACLs', () => {
    const acl = 'user::rw-,user:someone:r--,group::r--,mask::r--,other::---';
    const archive = [paxHeader([['SCHILY.acl.access', acl]]), file('f'), link('etc/passwd', secret())];
    expect(failure(...archive).message).toContain('for the user "someone", who is neither in');
  });
});

describe('one name for what the file system takes for two', () => {
  test('as where case does not matter: a link in place of the directory under its other name', () => {
    fs.mkdirSync(inTarget('usr'));
    fs.mkdirSync(inTarget('USR'));
    run(['mount', '--bind', inTarget('usr'), inTarget('USR')]);
    try {
      const swapped = [directory('usr/d', 0o4777), link('USR/d', path.join(outside, 'sub'))];
      expect(failure(...swapped)).toMatchObject({
        code: 'storage-failed',
        message: `cannot unpack "usr/d": what was unpacked in ${target} before it is no longer there (openat: ENOTDIR)`,
      });
      expect(failure(file('usr/d/f')).code).toBe('tar-escape');
      expect(failure(file('usr/e/f'), link('USR/e', outside)).code).toBe('tar-malformed'); // not empty
      unpackAll(file('usr/f', 'first'), link('USR/f', secret()), file('usr/f', 'inside'));
      expect(read('USR', 'f')).toBe('inside');
    } finally {
      run(['umount', inTarget('USR')]);
    }
  });
});

describe('hostile headers', () => {
  test('a global one that names all members, or the end of all links', () => {
    expect(failure(paxHeader([['path', '../x']], 'g'), file('a')).code).toBe('tar-escape');
    expect(failure(paxHeader([['path', '/etc/passwd']], 'g'), file('a')).code).toBe('tar-escape');
    const toOutside = paxHeader([['linkpath', secret()]], 'g');
    expect(failure(toOutside, file('a'), hardLink('b', 'a')).code).toBe('tar-escape');
    unpackAll(paxHeader([['path', 'one']], 'g'), file('a', 'first'), file('b', 'last'));
    expect(read('one')).toBe('last');
  });

  test('a sparse file whose own name for itself climbs out', () => {
    const sparse = (name: string) =>
      paxHeader([
        ['GNU.sparse.name', name],
        ['GNU.sparse.size', '4'],
        ['GNU.sparse.map', '0,4'],
      ]);
    for (const name of ['../secret', secret(), 'a\0b']) {
      expect(failure(sparse(name), file('x')).code).toBe('tar-escape');
    }
    expect(failure(link('x', outside), sparse('x/secret'), file('y')).code).toBe('tar-escape');
  });

  test('control characters in names are kept in the tree, and off the terminal', () => {
    unpackAll(file('a\x1b[2J\r\n\x07'), link('b\x7f', '\x1b]0;x\x07'));
    expect(fs.readdirSync(target).sort()).toEqual(['a\x1b[2J\r\n\x07', 'b\x7f']);
    const { message } = failure(file('a\x1b[2J\r\n\x07/below'));
    expect(message).not.toMatch(/[\x00-\x1f\x7f]/);
  });

  test('a NUL in a name or a link target does not cut it short', () => {
    expect(failure(paxHeader([['path', 'a\0/../../x']]), file('')).code).toBe('tar-escape');
    expect(failure(paxHeader([['linkpath', `${secret()}\0x`]]), link('l', '')).code).toBe('tar-malformed');
    expect(failure(file('a'), paxHeader([['linkpath', 'a\0b']]), hardLink('h', '')).code).toBe('tar-escape');
  });

  test.each([
    ['sparse pieces that lie upon each other', '0,3,1,3', '10', 'unpacked'],
    ['a piece beyond the end', '8,4,0,2', '10', 'tar-malformed'],
    ['a piece that begins beyond the end', '9007199254740990,1,0,5', '10', 'tar-malformed'],
    ['a piece whose end overflows', '9007199254740990,6', '9007199254740991', 'tar-malformed'],
    ['pieces that are together more than the data', '0,6,0,6', '10', 'tar-malformed'],
    ['a size beyond any file system', '0,6', '9007199254740991', 'limit-exceeded'],
    ['a size beyond any number', '0,6', '4611686018427387904', 'tar-malformed'],
  ] as const)('%s', (_, map, size, outcome) => {
    const sparse = paxHeader([
      ['GNU.sparse.size', size],
      ['GNU.sparse.map', map],
    ]);
    if (outcome === 'unpacked') unpackAll(sparse, file('f', 'abcdef'));
    else expect(failure(sparse, file('f', 'abcdef')).code).toBe(outcome);
    expect(fs.readdirSync(target)).toEqual(outcome === 'unpacked' ? ['f'] : []);
  });

  test('extended attributes of namespaces that are not for archives', () => {
    unpackAll(
      paxHeader([
        ['SCHILY.xattr.security.evm', Buffer.from([3, 2, 1])],
        ['SCHILY.xattr.nonsense', 'x'],
        ['SCHILY.xattr.system.nfs4_acl', 'x'],
        ['SCHILY.xattr.trusted.mark', 'x'],
      ]),
      tarMember({ name: 'x', type: '2', linkName: secret() }),
    );
    expect(listTree(target)).toContain("'trusted.mark'=0x78");
    for (const warning of warnings) expect(warning).toStartWith('"x", and maybe more, is unpacked without');
  });

  test('an ACL of random bytes', () => {
    for (const name of ['access', 'default']) {
      for (const bytes of [Buffer.alloc(4), Buffer.alloc(65536, 0xa5), Buffer.from('0200000001', 'hex')]) {
        const acl = paxHeader([[`SCHILY.xattr.system.posix_acl_${name}`, bytes]]);
        expect(['tar-malformed', 'storage-failed']).toContain(failure(acl, directory('d')).code);
      }
    }
  });

  test('a header of 1 GiB, before any of it is read', () => {
    const before = process.memoryUsage.rss();
    for (const type of ['x', 'g', 'X', 'L', 'K']) {
      expect(failure(tarHeader({ name: 'x', type, size: 2 ** 30 })).code).toBe('limit-exceeded');
    }
    expect(process.memoryUsage.rss() - before).toBeLessThan(64 << 20);
  });
});

describe('as an ordinary user', () => {
  test.each([
    ['a device', tarMember({ name: 'x', type: '4', major: 8, minor: 0 })],
    ['a setuid file of root', tarMember({ name: 'x', mode: 0o4755 })],
    ['a directory of root', tarMember({ name: 'x', type: '5' })],
    ['a capability', Buffer.concat([capability(), tarMember({ name: 'x', uid: 65534, gid: 65534 })])],
  ])('%s is refused', (_, member) => {
    const script = `
      import { openDirectoryTreeSink } from ${JSON.stringify(path.resolve('src/transfer/sink/directory-tree.ts'))};
      process.setgroups([]); process.setgid(65534); process.setuid(65534);
      const sink = openDirectoryTreeSink(process.argv[1]);
      try { sink.write(await Bun.stdin.bytes()); sink.finish(); } catch (error) { console.log(error.code); }
    `;
    fs.chmodSync(base, 0o755);
    fs.chownSync(target, 65534, 65534);
    const input = tarArchive(member);
    expect(run([process.execPath, '-e', script, target], { input }).toString()).toBe('not-root\n');
  });

  function capability(): Buffer {
    const value = Buffer.from('0100000200200000000000000000000000000000', 'hex');
    return paxHeader([['SCHILY.xattr.security.capability', value]]);
  }
});
