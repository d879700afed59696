import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { run } from '../../fixtures/run.ts';
import { listTree, makeTreeDirectory, unpack } from '../../fixtures/tar.ts';

/** A tree with one of everything, made by the tools of the system, and what GNU tar makes of the same tarball. */
let base: string;
let tree: string;
let count = 0;

beforeAll(() => {
  base = makeTreeDirectory();
  tree = path.join(base, 'tree');
  fs.mkdirSync(tree);
  run(['bash', '-euc', MAKE_TREE], { cwd: tree });
});

afterAll(() => {
  fs.rmSync(base, { recursive: true, force: true });
});

const MAKE_TREE = `
  umask 022
  mkdir -p usr/bin usr/lib etc dev empty var/tmp "$(printf 'deep/%.0s' {1..60})"
  head -c 100000 /dev/urandom > usr/bin/tool
  printf 'exactly one block' > etc/hostname
  head -c 512 /dev/urandom > etc/block
  : > etc/empty
  # owner, setuid, setgid, sticky
  cp usr/bin/tool usr/bin/su; chown 0:42 usr/bin/su; chmod 6755 usr/bin/su
  chown 1234:65534 etc/hostname; chmod 0400 etc/hostname
  chown 4000000000:4000000001 etc/block
  chmod 1777 var/tmp; chown 7:8 usr/lib; chmod 2750 usr/lib; chmod 0000 empty
  # links
  ln usr/bin/tool usr/bin/tool-2; ln usr/bin/tool etc/tool-3
  ln -s usr/bin bin; ln -s /absolute/target etc/absolute; ln -s ../../../outside etc/climbing; ln -s missing etc/dangling
  chown -h 99:98 etc/dangling; ln etc/dangling etc/dangling-2
  ln -s "$(printf 'far/%.0s' {1..50})" etc/long-link
  # devices and fifos
  mknod dev/null c 1 3; chmod 0666 dev/null; mknod dev/big c 4095 1048575; mknod dev/loop b 7 259; chown 0:6 dev/loop; mkfifo -m 0620 dev/pipe
  # names
  touch "$(printf 'n%.0s' {1..101})" "$(printf 'm%.0s' {1..255})"
  mkdir -p "$(printf 'long-directory-name/%.0s' {1..14})"
  echo deep > "$(printf 'long-directory-name/%.0s' {1..14})file"
  ln "$(printf 'long-directory-name/%.0s' {1..14})file" link-to-long
  touch 'grüße ☃' $'bytes \\xff\\xfe' $'new\\nline' ' space ' 'back\\\\slash' '=equals%25' ; touch -- -dash
`;

/** Attributes that only PAX can carry; and sparse files, which v7 and ustar would fill. */
const MAKE_ATTRIBUTES = `
  setcap cap_net_raw,cap_net_bind_service+ep usr/bin/tool
  setcap cap_sys_admin+ep usr/bin/su
  setfattr -n user.text -v hello etc/hostname
  setfattr -n user.binary -v 0x00ff0a3d80c3280d etc/block
  setfattr -n user.empty etc/block
  setfattr -n 'user.odd=name%3D' -v 1 etc/block
  setfattr -n trusted.overlay.opaque -v y var
  setfattr -n trusted.link -v 0x00 -h etc/dangling
  setfattr -n trusted.device -v x dev/null
  setfattr -n security.selinux -v 0x73797374656d5f753a6f626a6563745f723a6574635f743a733000 etc/empty
  setfacl -m u:daemon:rw,u:1234:r,g:adm:rwx,g:54321:x etc/empty
  setfacl -m u:1234:rwx -d -m u:daemon:rx,g:adm:r usr/lib
  echo inherited > usr/lib/below-default-acl; setfacl -b usr/lib/below-default-acl
  setfacl -m g:adm:r dev/pipe
`;

const MAKE_SPARSE = `
  truncate -s 8M sparse-hole
  truncate -s 1M sparse-end; echo data | dd of=sparse-end conv=notrunc status=none
  truncate -s 6G sparse-huge; printf end | dd of=sparse-huge bs=1 seek=5G conv=notrunc status=none
  truncate -s 12345 sparse-odd; printf x | dd of=sparse-odd bs=1 seek=12344 conv=notrunc status=none
  for i in $(seq 0 2 120); do dd if=/dev/urandom of=sparse-many bs=4096 count=1 seek=$i conv=notrunc status=none; done
`;

const SET_TIMES = `
  find . -type f -exec touch -hd '2001-02-03 04:05:06.123456789Z' {} +
  touch -hd '1969-12-31 23:59:58.25Z' etc/empty
  touch -hd '2100-01-01 00:00:00.000000001Z' etc/dangling
  find . -type d -exec touch -d '2012-12-12 12:12:12.121212121Z' {} +
`;

/** Packs the tree with `packer`, then compares what we unpack with what GNU tar does. */
function compare(packer: string[], chunkSizes = [65536]): void {
  count++;
  const tarball = path.join(base, `${count}.tar`);
  run([...packer, '-cf', tarball, '.'], { cwd: tree });
  const theirs = path.join(base, `${count}.theirs`);
  fs.mkdirSync(theirs);
  run([...GNU_EXTRACT, '-xf', tarball, '-C', theirs]);
  const expected = listTree(theirs);
  const archive = fs.readFileSync(tarball);
  for (const chunkSize of chunkSizes) {
    const ours = path.join(base, `${count}.ours.${chunkSize}`);
    fs.mkdirSync(ours);
    const warnings: string[] = [];
    const result = unpack(archive, ours, { chunkSize, warn: (message) => warnings.push(message) });
    expect(result.bytes).toBe(archive.length);
    expect(warnings).toEqual([]);
    expect(listTree(ours)).toBe(expected);
    fs.rmSync(ours, { recursive: true });
  }
  fs.rmSync(theirs, { recursive: true });
}

// bsdtar and Python write a directory's files before its directories, or whatever comes first: without
// --delay-directory-restore GNU tar then leaves the time of unpacking on some directories.
const GNU_EXTRACT = [
  'tar',
  '--numeric-owner',
  '--xattrs',
  '--xattrs-include=*',
  '--acls',
  '--delay-directory-restore',
];
const PAX = ['tar', '--format=posix', '--xattrs', '--xattrs-include=*', '--acls'];

describe('a tree of plain attributes', () => {
  beforeAll(() => run(['bash', '-euc', SET_TIMES], { cwd: tree }));

  test('packed by GNU tar as gnu', () => compare(['tar', '--format=gnu']));
  test('packed by GNU tar as oldgnu', () => compare(['tar', '--format=oldgnu']));
  test('packed by GNU tar as pax', () => compare(['tar', '--format=posix']));
  test('packed by GNU tar as pax with global headers', () =>
    compare(['tar', '--format=posix', '--pax-option=globexthdr.name=g,gid:=7,mtime=1234567.5,uid=3']));
  test('packed by bsdtar as pax', () => compare(['bsdtar', '--format=pax']));
  test('packed by bsdtar as gnutar', () => compare(['bsdtar', '--format=gnutar']));
  test('packed by GNU tar as gnu with a volume label', () =>
    compare(['tar', '--format=gnu', '--label=root']));
  test('packed by GNU tar as pax with a volume label', () =>
    compare(['tar', '--format=posix', '--label=root']));
  test('packed by GNU tar as an incremental dump', () =>
    compare(['tar', '--format=gnu', `--listed-incremental=${path.join(base, 'snapshot')}`]));
  test('packed by python3', () =>
    compare([
      'python3',
      '-c',
      'import sys, tarfile; t = tarfile.open(sys.argv[2], "w", format=tarfile.PAX_FORMAT); t.add(sys.argv[3]); t.close()',
    ]));
});

describe('a tree small enough for old formats', () => {
  const SMALL = ['long-*', './m*', './n*', './link-to-long', 'deep/*', 'block', 'big', 'etc/empty'];
  const EXCLUDE = SMALL.map((pattern) => `--exclude=${pattern}`);

  test('packed by GNU tar as ustar', () => compare(['tar', '--format=ustar', ...EXCLUDE]));
  test('packed by GNU tar as v7', () => compare(['tar', '--format=v7', '--exclude=./dev/*', ...EXCLUDE]));
  test('packed by bsdtar as ustar', () => compare(['bsdtar', '--format=ustar', ...EXCLUDE]));
});

describe('a tree with extended attributes, capabilities, ACLs and holes', () => {
  beforeAll(() => run(['bash', '-euc', MAKE_ATTRIBUTES + MAKE_SPARSE + SET_TIMES], { cwd: tree }));

  test('packed by GNU tar as pax', () => compare([...PAX, '--exclude=sparse-huge']));
  test('packed by GNU tar as pax with ACLs in text form alone', () =>
    compare(['tar', '--format=posix', '--acls', '--exclude=sparse-huge']));
  test('packed by bsdtar as pax', () => compare(['bsdtar', '--format=pax', '--xattrs', '--acls']));
  test('comes back exactly as it was', () => {
    const archive = run([...PAX, '--sparse', '-cf', '-', '.'], { cwd: tree });
    const ours = path.join(base, 'exact');
    fs.mkdirSync(ours);
    const { entries } = unpack(archive, ours);
    expect(listTree(ours)).toBe(listTree(tree));
    expect(entries).toBe(
      run(['find', '.', '-print0'], { cwd: tree }).toString('latin1').split('\0').length - 1,
    );
    fs.rmSync(ours, { recursive: true });
  });
  for (const version of ['0.0', '0.1', '1.0']) {
    test(`packed by GNU tar as pax, sparse ${version}, in chunks of any size`, () =>
      compare([...PAX, '--sparse', `--sparse-version=${version}`], [1, 511, 513, 65536, 1 << 24]));
  }
  test('packed by GNU tar as gnu, sparse, in chunks of any size', () =>
    compare(['tar', '--format=gnu', '--sparse'], [1, 511, 512, 513, 65536]));
  test('packed by GNU tar as gnu, sparse by the file alone', () =>
    compare(['tar', '--format=gnu', '--sparse', '--hole-detection=raw', '--exclude=sparse-huge']));
});
