import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { RdpullError } from '../../../../src/console/rdpull-error.ts';
import type { TarLimits } from '../../../../src/transfer/sink/tar/tar-limits.ts';
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
  withChecksum,
} from '../../../fixtures/tar.ts';

let base: string;
let target: string;
/** A directory beside the target, which no archive may touch. */
let outside: string;
let outsideBefore: string;
/** Any change at all, be it a new name or an attribute, shows in the change time. */
const changeTimes = () =>
  ['', 'secret'].map((name) => fs.statSync(path.join(outside, name), { bigint: true }).ctimeNs).join(' ');

beforeAll(() => {
  base = makeTreeDirectory();
});
afterAll(() => fs.rmSync(base, { recursive: true, force: true }));

beforeEach(() => {
  target = fs.mkdtempSync(path.join(base, 'target-'));
  outside = fs.mkdtempSync(path.join(base, 'outside-'));
  fs.writeFileSync(path.join(outside, 'secret'), 'untouched');
  outsideBefore = changeTimes();
});
afterEach(() => {
  expect(changeTimes()).toBe(outsideBefore);
});

const inTarget = (...names: string[]) => path.join(target, ...names);
const read = (...names: string[]) => fs.readFileSync(inTarget(...names), 'utf8');

/** The error that unpacking `members` ends with. */
function failure(...members: Uint8Array[]): RdpullError {
  try {
    unpack(tarArchive(...members), target);
  } catch (error) {
    if (error instanceof RdpullError) return error;
    throw error;
  }
  throw new Error('the archive was unpacked');
}

describe('a member that would leave the target', () => {
  test.each(['../x', 'a/../../x', 'a/..', '..', './../x'])('refuses %s', (name) => {
    const error = failure(file(name));
    expect(error.code).toBe('tar-escape');
    expect(error.message).toBe(`the member "${name}" climbs out with ".."`);
    expect(error.hint).toContain('do not use this tarball');
  });

  test('refuses an absolute name, in the header as in PAX and GNU long names', () => {
    const members = [
      [file('/etc/passwd')],
      [paxHeader([['path', '/etc/passwd']]), file('x')],
      [tarMember({ name: '././@LongLink', type: 'L' }, '/etc/passwd\0'), file('x')],
    ];
    for (const archive of members) {
      const error = failure(...archive);
      expect(error.code).toBe('tar-escape');
      expect(error.message).toBe('the member "/etc/passwd" has an absolute name');
    }
  });

  test('refuses a name with a NUL byte', () => {
    const error = failure(paxHeader([['path', 'a\0b']]), file('x'));
    expect(error.code).toBe('tar-escape');
    expect(error.message).toBe('the member "a\\x00b" has a name with a NUL byte');
  });

  test('refuses to go through a symbolic link that an earlier member planted', () => {
    const error = failure(link('a', outside), file('a/secret', 'overwritten'));
    expect(error.code).toBe('tar-escape');
    expect(error.message).toBe(
      `the path "a/secret" goes through the symbolic link "a" to "${outside}", which leads outside: the archive has no such directory`,
    );
  });

  test('refuses it for every kind of member, deep inside a known directory too', () => {
    const members = [
      directory('d/a/new'),
      link('d/a/new', 'x'),
      hardLink('d/a/new', 'f'),
      tarMember({ name: 'd/a/new', type: '6' }),
      tarMember({ name: 'd/a/new', type: '3', major: 1, minor: 3 }),
      file('d/a/new/below'),
    ];
    for (const member of members) {
      fs.rmSync(target, { recursive: true });
      fs.mkdirSync(target);
      const error = failure(file('f'), directory('d'), file('d/known'), link('d/a', outside), member);
      expect(error.code).toBe('tar-escape');
      expect(error.message).toContain('goes through the symbolic link "d/a"');
    }
  });

  test('refuses to go through a link that took the place of a directory whose descriptor was open', () => {
    const emptied = [directory('d'), directory('d/e'), link('d/e', outside)];
    expect(failure(...emptied, file('d/e/secret')).code).toBe('tar-escape');
    fs.rmSync(target, { recursive: true });
    fs.mkdirSync(target);
    // The place itself was open while "d/e/x" was made below it.
    const opened = [directory('d/e/x'), file('d/e/x', 'in place of the directory'), file('d/y')];
    expect(failure(...opened, file('d/e/x/secret')).message).toBe(
      'the path "d/e/x/secret" lies below "d/e/x", which is not a directory',
    );
  });

  test('unpacks a directory in place of a planted link, not through it', () => {
    unpack(tarArchive(link('a', outside), directory('a'), file('a/secret', 'inside')), target);
    expect(fs.lstatSync(inTarget('a')).isDirectory()).toBe(true);
    expect(read('a', 'secret')).toBe('inside');
  });

  test('unpacks a file in place of a planted link, not through it', () => {
    unpack(tarArchive(link('a', path.join(outside, 'secret')), file('a', 'inside')), target);
    expect(fs.lstatSync(inTarget('a')).isFile()).toBe(true);
    expect(read('a')).toBe('inside');
  });

  test('unpacks a file in place of a hard link to a planted link', () => {
    const planted = link('a', path.join(outside, 'secret'));
    unpack(tarArchive(planted, hardLink('b', 'a'), file('b', 'inside')), target);
    expect(read('b')).toBe('inside');
  });

  test('gives a link its own owner, not its target', () => {
    const planted = tarMember({
      name: 'a',
      type: '2',
      linkName: path.join(outside, 'secret'),
      uid: 5,
      gid: 6,
    });
    unpack(tarArchive(paxHeader([['SCHILY.xattr.trusted.mark', 'x']]), planted), target);
    expect(fs.lstatSync(inTarget('a'))).toMatchObject({ uid: 5, gid: 6 });
  });

  test('refuses hard links to the outside', () => {
    const secret = path.join(outside, 'secret');
    expect(failure(hardLink('x', 'a/../../secret'))).toMatchObject({
      code: 'tar-escape',
      message: 'the hard link "x" points outside: its target "a/../../secret" climbs out with ".."',
    });
    const absolute = failure(paxHeader([['linkpath', secret]]), hardLink('x', ''));
    expect(absolute.code).toBe('tar-escape');
    expect(absolute.message).toBe(`the hard link "x" points outside: the archive holds no "${secret}"`);
    const through = failure(link('a', outside), hardLink('x', 'a/secret'));
    expect(through.code).toBe('tar-escape');
    expect(through.message).toContain('goes through the symbolic link "a"');
  });

  test('refuses to go through a link that climbs, be it from below', () => {
    for (const to of ['..', 'd/../..', './../outside']) {
      const error = failure(directory('d'), link('a', to), file('a/x'));
      expect(error).toMatchObject({
        code: 'tar-escape',
        message: `the path "a/x" goes through the symbolic link "a" to "${to}", which leads outside`,
      });
    }
    expect(failure(directory('d/e'), link('d/e/a', '../../..'), file('d/e/a/x')).code).toBe('tar-escape');
  });

  test('says nothing of an attack where a link leads nowhere', () => {
    const dangling = failure(link('bin', 'usr/bin'), file('bin/sh'));
    expect(dangling.message).toBe(
      'the path "bin/sh" goes through the symbolic link "bin" to "usr/bin", a directory that the archive does not hold before it',
    );
    const circle = failure(link('a', 'b'), link('b', 'a'), file('a/x'));
    expect(circle.message).toBe('the path "a/x" goes through more than 40 symbolic links');
    for (const { code, hint } of [dangling, circle]) {
      expect(code).toBe('tar-escape');
      expect(hint).not.toContain('attack');
    }
  });

  test('shows a hostile name without its control characters', () => {
    const error = failure(file(`../\x1b[2J\u202e${'x'.repeat(60)}`));
    expect(error.message).toStartWith('the member "../\\x1b[2J\\u{202e}xxx');
    expect(failure(tarMember({ name: Buffer.from('../\xff\x9b', 'latin1') })).message).toBe(
      'the member "../\\xff\\x9b" climbs out with ".."',
    );
  });

  test('makes symbolic links that point anywhere, for that is content', () => {
    unpack(tarArchive(link('abs', '/etc/passwd'), link('up', '../../x')), target);
    expect(fs.readlinkSync(inTarget('abs'))).toBe('/etc/passwd');
    expect(fs.readlinkSync(inTarget('up'))).toBe('../../x');
  });
});

describe('a member behind a link that stays inside', () => {
  const merged = [link('bin', './usr/bin'), directory('usr/'), directory('usr/bin/')];
  const read = (name: string) => fs.readFileSync(inTarget('usr/bin', name), 'utf8');

  test('is made where the link leads, as GNU tar does it', () => {
    const members = [...merged, file('bin/a', 'a'), directory('bin/sub/', 0o700)];
    unpack(tarArchive(...members), target);
    const expected = unpackedByGnuTar(tarArchive(...members));
    expect(listTree(target)).toBe(expected);
    unpack(tarArchive(file('bin/new/dir/b', 'b')), target);
    expect([read('a'), read('new/dir/b')]).toEqual(['a', 'b']);
  });

  test('is found by a hard link, and given one', () => {
    const links = [hardLink('bin/b', 'usr/bin/a'), hardLink('c', 'bin/b'), hardLink('bin/a', 'bin/a')];
    unpack(tarArchive(...merged, file('bin/a', 'a'), ...links), target);
    expect(fs.statSync(inTarget('c')).nlink).toBe(3);
    expect(read('b')).toBe('a');
  });

  test('is the same as by its other name: replaced, with what was kept for it', () => {
    const acl = paxHeader([
      ['SCHILY.acl.access', 'user::rwx,user:daemon:rwx,group::r-x,mask::rwx,other::r-x'],
    ]);
    unpack(
      tarArchive(
        ...merged,
        acl,
        file('bin/a'),
        file('usr/bin/a', 'later'),
        directory('bin/d', 0o711),
        file('usr/bin/d'),
      ),
      target,
    );
    expect(read('a')).toBe('later');
    expect(run(['getfacl', '--omit-header', 'usr/bin/a'], { cwd: target }).toString()).not.toContain(
      'daemon',
    );
    expect(fs.statSync(inTarget('usr/bin/d')).isFile()).toBe(true);
  });

  test('may go through several, absolute ones and ones that climb inside', () => {
    unpack(
      tarArchive(
        directory('usr/lib/x86/'),
        link('lib', '/usr/lib'),
        link('usr/lib64', '../lib/./x86/..'),
        link('here', '.'),
        file('here/lib/a', 'a'),
        file('usr/lib64/x86/b', 'b'),
        file('here/usr/lib64/c', 'c'),
      ),
      target,
    );
    expect(fs.readdirSync(inTarget('usr/lib')).sort()).toEqual(['a', 'c', 'x86']);
    expect(fs.readdirSync(inTarget('usr/lib/x86'))).toEqual(['b']);
  });

  test('has its attributes, also when the link leads elsewhere by the end', () => {
    unpack(
      tarArchive(
        directory('one/'),
        directory('two/'),
        directory('two/d/', 0o755),
        link('l', 'one'),
        tarMember({ name: 'l/d', type: '5', mode: 0o1700, uid: 7, mtime: 77 }),
        link('l', 'two'),
      ),
      target,
    );
    expect(fs.statSync(inTarget('one/d'))).toMatchObject({ mode: 0o41700, uid: 7, mtimeMs: 77_000 });
    expect(fs.statSync(inTarget('two/d')).mode).toBe(0o40755);
  });

  test('replaces the link, when it has just its name', () => {
    unpack(tarArchive(...merged, directory('bin/'), file('bin/a', 'a')), target);
    expect(fs.lstatSync(inTarget('bin')).isDirectory()).toBe(true);
    expect(fs.readdirSync(inTarget('usr/bin'))).toEqual([]);
  });

  test('is bounded in depth by what the path becomes', () => {
    const deep = 'd/'.repeat(200);
    const { code, message } = failure(
      paxHeader([['path', deep]]),
      directory(''),
      paxHeader([['linkpath', deep]]),
      link('a', ''),
      paxHeader([['path', `a/${'e/'.repeat(100)}f`]]),
      file(''),
    );
    expect(code).toBe('tar-escape');
    expect(message).toEndWith(', and is too long then');
  });
});

describe('absolute names', () => {
  test('of hard link targets are taken from the tree on, as GNU tar takes them', () => {
    const members = [file('usr/bin/perlbug', 'x'), hardLink('usr/bin/perlthanks', '/usr/bin/perlbug')];
    unpack(tarArchive(...members, hardLink('b', '//usr/./bin/perlbug')), target);
    expect(fs.statSync(inTarget('b')).nlink).toBe(3);
    expect(failure(...members, hardLink('c', '/usr/../../etc/passwd')).code).toBe('tar-escape');
  });

  test.each(['/', '//', '/.', '/./'])('the member %s is the target directory itself', (name) => {
    unpack(tarArchive(tarMember({ name, type: '5', mode: 0o711 }), file('f')), target);
    expect(fs.statSync(target).mode).toBe(0o40711);
    expect(failure(tarMember({ name, type: '2', linkName: 'x' })).message).toBe(
      'the tar archive holds a symbolic-link without a name',
    );
  });
});

describe('names', () => {
  test('are normalised: leading dots, double and trailing slashes', () => {
    unpack(tarArchive(directory('.///a//'), file('./a/.//./f'), hardLink('g', './/a/./f')), target);
    expect(read('a', 'f')).toBe('data');
    expect(fs.statSync(inTarget('g')).nlink).toBe(2);
  });

  test('may be deep, but not endless', () => {
    const deepest = 'd/'.repeat(255);
    unpack(tarArchive(paxHeader([['path', `${deepest}f`]]), file('x')), target);
    expect(read(`${deepest}f`)).toBe('data');
    const error = failure(paxHeader([['path', `${'d/'.repeat(256)}f`]]), file('x'));
    expect(error.code).toBe('limit-exceeded');
    expect(error.message).toEndWith('is more than 256 names deep, which is the limit');
    expect(error.hint).toEndWith('allow more with --limit=depth=VALUE');
  });

  test('longer than Linux allows are refused with the figure', () => {
    const error = failure(paxHeader([['path', 'a/'.repeat(100) + 'b'.repeat(4000)]]), file('x'));
    expect(error.code).toBe('limit-exceeded');
    expect(error.message).toEndWith('has a path of 4200 bytes; the limit is 4095');
    expect(error.hint).not.toContain('--limit'); // which cannot be raised
    const component = failure(paxHeader([['path', `d/${'b'.repeat(256)}`]]), file('x'));
    expect(component.code).toBe('tar-malformed');
    expect(component.message).toEndWith('has a name of 256 bytes; Linux allows 255');
    unpack(tarArchive(paxHeader([['path', 'b'.repeat(255)]]), file('x')), target);
    expect(read('b'.repeat(255))).toBe('data');
  });

  test('that are missing are refused for anything but the target directory itself', () => {
    expect(failure(file('.')).message).toBe('the tar archive holds a file without a name');
    expect(failure(link('.', 'x')).message).toBe('the tar archive holds a symbolic-link without a name');
  });

  test('of parents that no member stands for are made for root, mode 0755, whatever the umask', () => {
    const umask = process.umask(0o077);
    unpack(tarArchive(file('a/b/c')), target);
    process.umask(umask);
    for (const parent of ['a', 'a/b']) {
      expect(fs.statSync(inTarget(parent))).toMatchObject({ mode: 0o40755, uid: 0, gid: 0 });
    }
  });
});

describe('a later member in place of an earlier one', () => {
  test('replaces a file and leaves its other names alone', () => {
    unpack(tarArchive(file('a', 'old'), hardLink('b', 'a'), file('a', 'new')), target);
    expect(read('a')).toBe('new');
    expect(read('b')).toBe('old');
  });

  test('keeps what is in a directory, with the new attributes', () => {
    unpack(tarArchive(directory('d', 0o700), file('d/f'), directory('d', 0o1750)), target);
    expect(fs.statSync(inTarget('d')).mode).toBe(0o41750);
    expect(read('d', 'f')).toBe('data');
  });

  test('replaces an empty directory, whose attributes are forgotten', () => {
    unpack(tarArchive(directory('d', 0o777), tarMember({ name: 'd', mode: 0o600 }, 'file')), target);
    expect(fs.statSync(inTarget('d')).mode).toBe(0o100600);
  });

  test('does not replace a directory that is not empty', () => {
    const error = failure(directory('d'), file('d/f'), file('d'));
    expect(error.code).toBe('tar-malformed');
    expect(error.message).toBe(
      'the member "d" would take the place of the directory of this name, which is not empty',
    );
  });

  test('replaces files by directories, links, fifos and devices as GNU tar does', () => {
    const archive = tarArchive(
      file('a'),
      directory('a'),
      file('b'),
      link('b', 'a'),
      directory('c'),
      tarMember({ name: 'c', type: '6' }),
      file('e'),
      tarMember({ name: 'e', type: '4', major: 7, minor: 300 }),
      directory('f'),
      link('f', 'a'),
      file('g', 'g'),
      hardLink('b', 'g'),
      hardLink('b', 'g'),
    );
    unpack(archive, target);
    const expected = unpackedByGnuTar(archive);
    expect(listTree(target)).toBe(expected);
  });

  test('may be a hard link to itself', () => {
    unpack(tarArchive(file('a', 'kept'), hardLink('a', './a')), target);
    expect(read('a')).toBe('kept');
  });

  test('takes the ACL with it that waited for the end', () => {
    const acl = 'user::rw-\nuser:daemon:rw-\ngroup::r--\nmask::rw-\nother::r--\n';
    unpack(tarArchive(paxHeader([['SCHILY.acl.access', acl]]), file('a'), file('a', 'no ACL')), target);
    expect(run(['getfacl', '--omit-header', 'a'], { cwd: target }).toString()).not.toContain('daemon');
  });
});

describe('hard links', () => {
  test('need their target before them', () => {
    const error = failure(hardLink('a', 'b'), file('b'));
    expect(error.code).toBe('tar-malformed');
    expect(error.message).toBe('the hard link "a" points to "b", which the archive does not hold before it');
    expect(failure(hardLink('a', 'no/such/b')).message).toContain('points to "no/such/b"');
  });

  test('cannot point to a directory', () => {
    expect(failure(directory('d'), hardLink('a', 'd')).message).toBe(
      'the hard link "a" points to a directory, "d"',
    );
    expect(failure(hardLink('a', '.')).message).toBe('the hard link "a" has no target');
  });
});

describe('attributes', () => {
  test('of ./ go to the target directory itself', () => {
    const acl = paxHeader([['SCHILY.xattr.user.root', 'yes']]);
    unpack(
      tarArchive(acl, tarMember({ name: '.', type: '5', mode: 0o2711, uid: 3, gid: 4 }), file('f')),
      target,
    );
    expect(fs.statSync(target)).toMatchObject({ mode: 0o42711, uid: 3, gid: 4, mtimeMs: 1e12 });
    expect(run(['getfattr', '-n', 'user.root', '--only-values', '.'], { cwd: target }).toString()).toBe(
      'yes',
    );
  });

  describe.each([0o000, 0o022, 0o077, 0o777])('under the umask %i', (umask) => {
    const MODES = [0o644, 0o600, 0o777, 0o000, 0o4755, 0o2755, 0o1666];
    const OWNERS = [
      [0, 0],
      [0, 5],
      [5, 0],
      [1000, 1000],
    ] as const;
    const members = (type: '0' | '5') =>
      MODES.flatMap((mode) =>
        OWNERS.map(([uid, gid]) => ({ name: `${type}-${mode}-${uid}-${gid}`, type, mode, uid, gid })),
      );
    const unpacked = (...archive: Uint8Array[]) => {
      const before = process.umask(umask);
      try {
        unpack(tarArchive(...archive), target);
      } finally {
        process.umask(before);
      }
    };

    test.each([
      ['a directory of root', () => undefined],
      ['a directory that hands its group on', () => fs.chmodSync(target, 0o2755)],
      ['a directory of another group', () => fs.chownSync(target, 0, 7)],
      [
        'a directory of another group that it hands on',
        () => {
          fs.chownSync(target, 0, 7);
          fs.chmodSync(target, 0o2755);
        },
      ],
      ['a directory of somebody else', () => fs.chownSync(target, 7, 0)],
    ])('are those of the archive in %s', (_, prepare) => {
      prepare();
      const all = [...members('5'), ...members('0')];
      unpacked(...all.map((each) => tarMember(each)), link('link', 'x'), tarMember({ name: '.', type: '5' }));
      for (const { name, type, mode, uid, gid } of all) {
        const format = type === '5' ? 0o40000 : 0o100000;
        expect({ name, ...attributesOf(name) }).toEqual({ name, mode: format | mode, uid, gid });
      }
      expect(attributesOf('link')).toMatchObject({ uid: 0, gid: 0 });
      expect(attributesOf('.')).toEqual({ mode: 0o40644, uid: 0, gid: 0 });
    });

    test('are those of the archive beside an ACL, too', () => {
      const acl = paxHeader([['SCHILY.acl.access', 'user::rw-,user:1:r--,group::---,mask::rw-,other::r--']]);
      unpacked(acl, file('f'));
      expect(attributesOf('f')).toEqual({ mode: 0o100664, uid: 0, gid: 0 });
      expect(listTree(target)).toContain('posix_acl_access');
    });
  });

  const attributesOf = (name: string) => {
    const { mode, uid, gid } = fs.lstatSync(inTarget(name));
    return { mode, uid, gid };
  };

  test('do not come from a default ACL of the target', () => {
    run(['setfacl', '-d', '-m', 'u:daemon:rwx', target]);
    unpack(tarArchive(directory('d'), file('d/f')), target);
    expect(listTree(target)).not.toContain('posix_acl');
  });

  test('include ids above the octal fields and times before 1970', () => {
    const records = [
      ['uid', '4294967294'],
      ['gid', '3000000000'],
      ['mtime', '-0.000000001'],
    ] as const;
    unpack(tarArchive(paxHeader(records), file('f')), target);
    expect(fs.statSync(inTarget('f'))).toMatchObject({ uid: 4294967294, gid: 3000000000 });
    expect(fs.statSync(inTarget('f'), { bigint: true }).mtimeNs).toBe(-1n);
  });

  test('SELinux labels come from GNU tar --selinux too', () => {
    unpack(
      tarArchive(paxHeader([['RHT.security.selinux', 'system_u:object_r:etc_t:s0']]), file('f')),
      target,
    );
    const value = Buffer.from('system_u:object_r:etc_t:s0\0').toString('hex');
    expect(listTree(target)).toContain(`'security.selinux'=0x${value}`);
  });

  test("names in ACLs are looked up in the archive's own /etc before this system's", () => {
    const acl =
      'user::rw-\nuser:daemon:r--\nuser:tenant:rw-\ngroup::r--\ngroup:adm:r--\nmask::rw-\nother::---\n';
    unpack(
      tarArchive(
        paxHeader([['SCHILY.acl.access', acl]]),
        file('before'),
        paxHeader([['SCHILY.acl.default', acl]]),
        directory('etc'),
        file('etc/passwd', 'root:x:0:0:::\ndaemon:x:777:1::/:\ntenant:x:778:1::/:\n'),
        paxHeader([['SCHILY.acl.access', acl]]),
        tarMember({ name: 'fifo', type: '6' }),
      ),
      target,
    );
    const adm = run(['getent', 'group', 'adm']).toString().split(':')[2];
    for (const name of ['before', 'fifo']) {
      const found = run(['getfacl', '-n', '--omit-header', name], { cwd: target }).toString();
      expect(found).toBe(
        `user::rw-\nuser:777:r--\nuser:778:rw-\ngroup::r--\ngroup:${adm}:r--\nmask::rw-\nother::---\n\n`,
      );
    }
    expect(run(['getfacl', '-nd', '--omit-header', 'etc'], { cwd: target }).toString()).toContain(
      'user:777:r--',
    );
  });

  test('unknown names in ACLs are refused, and a fifo in place of /etc/passwd does not stop the transfer', () => {
    const acl = paxHeader([
      ['SCHILY.acl.access', 'user::rw-,user:nosuchuser:r--,group::r--,mask::r--,other::---'],
    ]);
    const error = failure(acl, file('f'), tarMember({ name: 'etc/passwd', type: '6' }));
    expect(error.code).toBe('stream-unsupported');
    expect(error.message).toBe(
      `"f" has an ACL for the user "nosuchuser", who is neither in the archive's /etc nor on this system`,
    );
    fs.rmSync(target, { recursive: true });
    fs.mkdirSync(target);
    expect(failure(acl, file('f'), link('etc', outside)).code).toBe('stream-unsupported');
  });

  test('an ACL that makes no sense is refused', () => {
    const withoutMask = paxHeader([['SCHILY.acl.access', 'user::rw-,user:7:r--,group::r--,other::---']]);
    expect(failure(withoutMask, file('f')).message).toBe('"f" has an ACL that the kernel does not take');
    expect(failure(paxHeader([['SCHILY.acl.access', 'nonsense']]), file('f')).message).toBe(
      '"f" has an ACL that is not in the form of acl(5), or too long',
    );
  });
});

describe('limits', () => {
  /** The error that unpacking `members` under these limits ends with. */
  function beyond(limits: Partial<TarLimits>, ...members: Uint8Array[]): RdpullError {
    try {
      unpack(tarArchive(...members), target, { limits });
    } catch (error) {
      if (error instanceof RdpullError) return error;
      throw error;
    }
    throw new Error('the archive was unpacked');
  }

  test('more members than allowed are refused', () => {
    const members = [file('a'), file('b')];
    unpack(tarArchive(...members), target, { limits: { entries: 2 } });
    expect(beyond({ entries: 2 }, ...members, file('c'))).toMatchObject({
      code: 'limit-exceeded',
      exitStatus: 12,
      message: 'the tar archive makes more than 2 files and directories',
      hint: 'check whether the tarball is what it should be; if it is, allow more with --limit=entries=VALUE',
    });
  });

  test('directories that no member stands for count as members', () => {
    unpack(tarArchive(file('a/b/c'), file('a/b/d')), target, { limits: { entries: 4 } });
    expect(beyond({ entries: 4 }, file('e/f/g'), file('h/i'), file('j')).code).toBe('limit-exceeded');
    expect(fs.existsSync(inTarget('j'))).toBe(false);
  });

  test('longer and deeper paths than allowed are refused, those of hard link targets too', () => {
    unpack(tarArchive(file('12345678/'.repeat(2)), file('a/b/c')), target, {
      limits: { path: 18, depth: 3 },
    });
    expect(beyond({ path: 17 }, file('12345678/12345678/'))).toMatchObject({
      code: 'limit-exceeded',
      message: 'the member "12345678/12345678/" has a path of 18 bytes; the limit is 17',
    });
    expect(beyond({ depth: 2 }, file('./a//b/./c'))).toMatchObject({
      code: 'limit-exceeded',
      message: 'the member "./a//b/./c" is more than 2 names deep, which is the limit',
    });
    expect(beyond({ depth: 2 }, hardLink('x', 'a/b/c')).code).toBe('limit-exceeded');
  });

  test('extended attributes of more bytes than allowed are refused, ACLs included', () => {
    const xattr = (value: string) => paxHeader([['SCHILY.xattr.user.a', value]]);
    unpack(tarArchive(xattr('12345')), target, { limits: { xattr: 11 } });
    expect(beyond({ xattr: 11 }, file('known'), xattr('123456'), file('f'))).toMatchObject({
      code: 'limit-exceeded',
      message: 'the member after "known" has 12 bytes of extended attributes; the limit is 11',
    });
    const acl = paxHeader([['SCHILY.acl.access', 'user::rw-,group::r--,other::---']]);
    expect(beyond({ xattr: 30 }, acl, file('f')).code).toBe('limit-exceeded');
  });

  test('larger files than allowed are refused before their data, holes counted', () => {
    expect(beyond({ file: 3 }, file('f', 'data'))).toMatchObject({
      code: 'limit-exceeded',
      message: 'the file "f" has 4 bytes, holes included; the limit is 3',
    });
    const sparse = paxHeader([
      ['GNU.sparse.size', '17592186044417'],
      ['GNU.sparse.map', '0,4'],
    ]);
    expect(failure(sparse, file('f')).message).toContain('has 17592186044417 bytes, holes included');
    expect(fs.readdirSync(target)).toEqual([]);
  });

  test('a path of 2048 names, when allowed, does not use up descriptors', () => {
    const deep = 'd/'.repeat(2047);
    const limits = { entries: 10_000, depth: 2048 };
    const script = `
      import { openDirectoryTreeSink } from ${JSON.stringify(path.resolve('src/transfer/sink/directory-tree.ts'))};
      import { DEFAULT_TAR_LIMITS } from ${JSON.stringify(path.resolve('src/transfer/sink/tar/tar-limits.ts'))};
      const limits = { ...DEFAULT_TAR_LIMITS, ...${JSON.stringify(limits)} };
      const sink = openDirectoryTreeSink(process.argv[1], { limits });
      sink.write(await Bun.stdin.bytes());
      console.log(sink.finish().entries);
      sink.close();
    `;
    const input = tarArchive(
      paxHeader([['path', `${deep}f`]]),
      file(''),
      paxHeader([
        ['path', `e/${deep.slice(4)}g`],
        ['linkpath', `${deep}f`],
      ]),
      hardLink('', ''),
      paxHeader([['path', deep]]),
      directory(''),
    );
    const bun = [process.execPath, '-e', script, target];
    expect(run(['prlimit', '--nofile=200:200', ...bun], { input }).toString()).toBe('3\n');
    run(['rm', '-rf', inTarget('d'), inTarget('e')]);
  });

  test('an impossible link target is refused', () => {
    expect(failure(link('a', '')).message).toBe('the symbolic link "a" has the impossible target ""');
    const long = failure(paxHeader([['linkpath', 'x'.repeat(4096)]]), link('a', ''));
    expect(long.code).toBe('tar-malformed');
  });

  test('more directories than can be kept in mind are refused', () => {
    const name = (i: number) => `${i}-${'d'.repeat(90)}`;
    const members: Buffer[] = [];
    const acl = paxHeader([['SCHILY.xattr.system.posix_acl_default', Buffer.alloc(65000)]]);
    for (let i = 0; i < 1040; i++) members.push(acl, directory(name(i)));
    const error = failure(...members);
    expect(error.code).toBe('limit-exceeded');
    expect(error.message).toStartWith('the tar archive holds more directories than rdpull can keep in mind');
  });

  test('hundreds of open directories do not use up descriptors', () => {
    const members = Array.from({ length: 1500 }, (_, i) => file(`d${i}/e/f`));
    const before = fs.readdirSync('/proc/self/fd').length;
    unpack(tarArchive(...members), target);
    // The runtime may open one or two of its own meanwhile.
    expect(fs.readdirSync('/proc/self/fd').length).toBeLessThan(before + 5);
    expect(fs.readdirSync(target).length).toBe(1500);
  });
});

test('a damaged archive ends in an error with a code, or not at all, but never in a crash or outside', () => {
  const original = tarArchive(
    directory('.'),
    paxHeader([
      ['path', 'a/f'],
      ['mtime', '1.5'],
      ['SCHILY.xattr.user.x', Buffer.from([0, 255])],
    ]),
    file('f'),
    hardLink('a/g', 'a/f'),
    link('a/s', '../x'),
    tarMember({ name: 'p', type: '6' }),
    tarMember({ name: '././@LongLink', type: 'L' }, `${'n'.repeat(150)}\0`),
    file('n'),
    paxHeader([
      ['GNU.sparse.major', '1'],
      ['GNU.sparse.minor', '0'],
      ['GNU.sparse.name', 'sparse'],
      ['GNU.sparse.realsize', '9000'],
    ]),
    tarMember({ name: 'x' }, `${'1\n8192\n4\n'.padEnd(512, '\0')}data`),
  );
  let seed = 1;
  const random = (below: number) => {
    seed = (seed * 48271) % 0x7fffffff; // Lehmer's generator: the same archives on each run
    return seed % below;
  };
  const codes = new Set<string>();
  for (let round = 0; round < 500; round++) {
    const damaged = Buffer.from(original);
    for (let i = random(4); i >= 0; i--) {
      const block = damaged.subarray(512 * random(damaged.length / 512)).subarray(0, 512);
      block[random(512)] = random(256);
      const isHeader = block.toString('latin1', 257, 262) === 'ustar';
      if (isHeader) block[156] = '0123456xgLKSDV'.charCodeAt(random(14));
      if (isHeader && random(4) > 0) withChecksum(block);
    }
    const end = random(4) === 0 ? random(damaged.length) : damaged.length;
    const box = fs.mkdtempSync(inTarget('box-'));
    try {
      unpack(damaged.subarray(0, end), box);
      codes.add('unpacked');
    } catch (error) {
      if (!(error instanceof RdpullError)) throw error;
      codes.add(error.code);
    }
    fs.rmSync(box, { recursive: true });
    expect(fs.readdirSync(target)).toEqual([]);
  }
  for (const code of ['unpacked', 'tar-malformed', 'stream-truncated']) expect(codes).toContain(code);
  expect(codes).not.toContain('internal');
});

describe('the file system', () => {
  let mounted: string;
  afterEach(() => run(['umount', mounted]));

  function mount(type: string, options: string): void {
    mounted = fs.mkdtempSync(path.join(base, 'mount-'));
    run(['mount', '-t', type, '-o', options, 'rdpull-test', mounted]);
    target = path.join(mounted, 'tree');
    fs.mkdirSync(target);
  }

  test('that is full is reported with figures', () => {
    mount('tmpfs', 'size=1m');
    const error = failure(file('small', 'x'.repeat(1000)), file('usr/big', 'x'.repeat(2 << 20)));
    expect(error.code).toBe('disk-full');
    expect(error.message).toStartWith('cannot unpack "usr/big": the file system of ');
    expect(error.message).toContain('1.0 MiB');
  });

  test('that has no inodes left is reported as such', () => {
    mount('tmpfs', 'nr_inodes=20');
    const error = failure(...Array.from({ length: 30 }, (_, i) => file(`f${i}`, '')));
    expect(error.code).toBe('disk-full');
    expect(error.message).toContain('no inodes left (it has 20)');
  });

  test('that is read-only is reported as unwritable', () => {
    mount('tmpfs', 'size=1m');
    run(['mount', '-o', 'remount,ro', mounted]);
    const error = failure(file('f'));
    expect(error.code).toBe('target-unwritable');
    expect(error.message).toEndWith('cannot be written to: the file system is read-only');
  });

  test('without extended attributes loses user.* with one warning, but no capability', () => {
    mount('ramfs', 'mode=755');
    const warnings: string[] = [];
    const user = paxHeader([['SCHILY.xattr.user.a', '1']]);
    unpack(tarArchive(user, file('f'), user, directory('d')), target, {
      warn: (message) => warnings.push(message),
    });
    expect(warnings.length).toBe(1);
    expect(warnings[0]).toMatch(
      /^"f", and maybe more, is unpacked without its extended attribute "user\.a": E(OPNOT|NOT)SUPP?$/,
    );
    const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex');
    const error = failure(paxHeader([['SCHILY.xattr.security.capability', capability]]), file('f'));
    expect(error.code).toBe('storage-failed');
    expect(error.message).toStartWith('"f" cannot have its extended attribute "security.capability" in ');
    expect(failure(paxHeader([['SCHILY.xattr.trusted.a', '1']]), file('f')).code).toBe('storage-failed');
  });

  test('unpacks a file of many chunks and a sparse one on it', () => {
    mount('tmpfs', 'size=4m');
    const sparse = tarHeader({ name: 'sparse', size: 4, type: 'S', magic: 'ustar  ', raw: sparseFields() });
    unpack(
      tarArchive(file('dense', 'x'.repeat(1 << 20)), sparse, Buffer.from('data'.padEnd(512, '\0'))),
      target,
      {
        chunkSize: 1000,
      },
    );
    expect(fs.statSync(inTarget('dense')).size).toBe(1 << 20);
    expect(fs.statSync(inTarget('sparse')).size).toBe(2 ** 35 + 2 ** 34);
    expect(fs.statSync(inTarget('sparse')).blocks).toBe(8);
  });

  /** 4 bytes of data at 2^35 in a file half as large again, in octal as GNU tar writes it. */
  function sparseFields(): (readonly [number, Buffer])[] {
    const map = Buffer.from(`${(2 ** 35).toString(8).padStart(12, '0')}00000000004\0`, 'latin1');
    return [
      [386, map],
      [483, Buffer.from((2 ** 35 + 2 ** 34).toString(8).padStart(12, '0'))],
    ];
  }
});

test('without root it says so', () => {
  const script = `
    import { openDirectoryTreeSink } from ${JSON.stringify(path.resolve('src/transfer/sink/directory-tree.ts'))};
    process.setgid(65534); process.setuid(65534);
    const sink = openDirectoryTreeSink(process.argv[1]);
    try { sink.write(await Bun.stdin.bytes()); } catch (error) { console.log(error.code + ': ' + error.message); }
  `;
  fs.chmodSync(base, 0o755);
  fs.chownSync(target, 65534, 65534);
  const input = tarArchive(tarMember({ name: 'etc/shadow', uid: 0, gid: 42 }));
  const output = run([process.execPath, '-e', script, target], { input }).toString();
  expect(output).toBe(
    `not-root: cannot unpack "etc/shadow" into ${target}: only root may give it its owner, mode and attributes\n`,
  );
});

function unpackedByGnuTar(archive: Uint8Array): string {
  const theirs = fs.mkdtempSync(path.join(base, 'theirs-'));
  fs.chmodSync(theirs, fs.statSync(target).mode & 0o7777);
  run(['tar', '--numeric-owner', '--delay-directory-restore', '-xf', '-', '-C', theirs], { input: archive });
  fs.utimesSync(theirs, 0, 0);
  fs.utimesSync(target, 0, 0);
  return listTree(theirs);
}
