import { afterAll, beforeAll, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import * as tree from '../../src/kernel/directory-tree.ts';
import { SystemCallError } from '../../src/kernel/system-error.ts';
import { run } from '../fixtures/run.ts';
import { makeTreeDirectory } from '../fixtures/tar.ts';

let base: string;
let root: number;
const names = new tree.NameBuffer(512);

beforeAll(() => {
  base = makeTreeDirectory();
  root = fs.openSync(base, 'r');
});
afterAll(() => {
  fs.closeSync(root);
  fs.rmSync(base, { recursive: true });
});

/** Two names at once, as a link needs them. */
function name(text: string, at = 0): tree.Name {
  names.bytes.fill(0, at, at + 256);
  names.bytes.write(text, at, 'latin1');
  return names.name(at);
}

function code(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (error instanceof SystemCallError) return error.code;
    throw error;
  }
  return 'none';
}

const stat = (file: string) =>
  run(['stat', '-c', '%F %a %u:%g %t:%T', file], { cwd: base }).toString().trim();

test('creates files for their owner alone, and only new ones', () => {
  fs.closeSync(tree.createFileAt(root, name('file'), 0o600));
  expect(stat('file')).toBe('regular empty file 600 0:0 0:0');
  expect(code(() => tree.createFileAt(root, name('file'), 0o600))).toBe('EEXIST');
});

test('makes device nodes with every number the kernel has', () => {
  for (const [major, minor] of [
    [1, 3],
    [259, 256],
    [4095, 1048575],
    [255, 1048575],
    [4095, 0],
  ] as const) {
    tree.makeNodeAt(root, name('device'), tree.S_IFBLK, major, minor);
    expect(stat('device')).toBe(`block special file 600 0:0 ${major.toString(16)}:${minor.toString(16)}`);
    expect(tree.fileTypeAt(root, name('device'))).toBe(tree.S_IFBLK);
    tree.unlinkAt(root, name('device'));
  }
});

test('follows no symbolic link: not to open, not to change, not to link', () => {
  fs.mkdirSync(path.join(base, 'real'));
  fs.writeFileSync(path.join(base, 'data'), '');
  tree.makeSymbolicLinkAt(name('real'), root, name('to-directory', 256));
  tree.makeSymbolicLinkAt(name('data'), root, name('to-file', 256));
  expect(code(() => tree.openPlaceAt(root, name('to-directory')))).toBe('ENOTDIR');
  expect(code(() => tree.openDirectoryAt(root, name('to-directory')))).toBe('ENOTDIR');
  expect(code(() => tree.openFileAt(root, name('to-file')))).toBe('ELOOP');
  expect(code(() => tree.createFileAt(root, name('to-file'), 0o600))).toBe('EEXIST');
  expect(tree.fileTypeAt(root, name('to-file'))).toBe(tree.S_IFLNK);
  tree.changeOwnerAt(root, name('to-file'), 7, 8);
  tree.changeTimeAt(root, name('to-file'), 5, 6);
  tree.setAttributeAt(root, Buffer.from('to-file'), 'trusted.x', Buffer.from('x'));
  expect(stat('to-file')).toStartWith('symbolic link 777 7:8');
  expect(fs.lstatSync(path.join(base, 'to-file'), { bigint: true }).mtimeNs).toBe(5_000_000_006n);
  expect(stat('data')).toStartWith('regular empty file 644 0:0');
  expect(fs.statSync(path.join(base, 'data')).mtimeMs).toBeGreaterThan(1e12);
  expect(run(['getfattr', '-m', '-', 'data'], { cwd: base }).toString()).toBe('');
  expect(code(() => tree.changeModeAt(root, name('to-file'), 0o4777))).toBe('ELOOP');
  expect(stat('data')).toStartWith('regular empty file 644 ');
  tree.makeHardLinkAt(root, name('to-file'), root, name('linked', 256));
  expect(tree.fileTypeAt(root, name('linked'))).toBe(tree.S_IFLNK);
  expect(fs.lstatSync(path.join(base, 'linked')).nlink).toBe(2);
});

test('opens a directory several names down, and follows nothing on the way', () => {
  fs.mkdirSync(path.join(base, 'one/two/three'), { recursive: true });
  fs.symlinkSync('two', path.join(base, 'one/link'));
  const fd = tree.openPlaceBelow(root, name('one/two/three')) ?? -1;
  expect(fs.readlinkSync(`/proc/self/fd/${fd}`)).toBe(path.join(base, 'one/two/three'));
  expect(run(['grep', 'flags', `/proc/${process.pid}/fdinfo/${fd}`]).toString()).toContain('012'); // O_PATH, CLOEXEC
  fs.closeSync(fd);
  const others = [
    'one/link',
    'one/link/three',
    'one/../..',
    '..',
    `${base}/one`,
    'one/no',
    'one/two/three/x',
  ];
  for (const other of others) expect(tree.openPlaceBelow(root, name(other))).toBeUndefined();
});

test('makes a file several names down, or opens a directory there, and follows nothing on the way', () => {
  fs.mkdirSync(path.join(base, 'four/five'), { recursive: true });
  fs.symlinkSync('five', path.join(base, 'four/link'));
  fs.symlinkSync('made', path.join(base, 'four/five/to-made'));
  const made = tree.createFileBelow(root, name('four/five/file'), 0o640) ?? -1;
  expect(fs.writeSync(made, 'x')).toBe(1);
  fs.closeSync(made);
  expect(stat('four/five/file')).toStartWith('regular file 640 ');
  const taken = ['four/five/file', 'four/five', 'four/link', 'four/five/to-made'];
  const away = [
    'four/link/file',
    'four/../file',
    '../file',
    `${base}/file`,
    'four/no/file',
    'four/five/file/x',
  ];
  for (const other of [...taken, ...away])
    expect(tree.createFileBelow(root, name(other), 0o600)).toBeUndefined();
  expect(fs.readdirSync(path.join(base, 'four/five')).toSorted()).toEqual(['file', 'to-made']);

  const opened = tree.openDirectoryBelow(root, name('four/five')) ?? -1;
  tree.changeTime(opened, 86_400, 0);
  fs.closeSync(opened);
  expect(fs.statSync(path.join(base, 'four/five')).mtimeMs).toBe(86_400_000);
  for (const other of ['four/link', 'four/link/x', 'four/../..', 'four/five/file', 'four/no'])
    expect(tree.openDirectoryBelow(root, name(other))).toBeUndefined();
});

/** What this process has open in the directory, but for the directory itself. */
function openBelow(): string[] {
  return fs.readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const file = fs.readlinkSync(`/proc/self/fd/${fd}`);
      return file.startsWith(`${base}/`) ? [file] : [];
    } catch {
      // The descriptor that read the list is closed by now.
      return [];
    }
  });
}

test('sets the mode of devices and fifos, which it does not open', () => {
  tree.makeNodeAt(root, name('no-driver'), tree.S_IFCHR, 4095, 1048575);
  tree.makeNodeAt(root, name('pipe'), tree.S_IFIFO, 0, 0);
  tree.changeModeAt(root, name('no-driver'), 0o4751);
  tree.changeModeAt(root, name('pipe'), 0o1612);
  expect(stat('no-driver')).toStartWith('character special file 4751');
  expect(stat('pipe')).toStartWith('fifo 1612');
  expect(openBelow()).toEqual([]);
});

test('opens a fifo without waiting for its writer', () => {
  tree.makeNodeAt(root, name('waiting'), tree.S_IFIFO, 0, 0);
  const fd = tree.openFileAt(root, name('waiting'));
  expect(fs.fstatSync(fd).isFIFO()).toBe(true);
  fs.closeSync(fd);
});

test('sets times to the nanosecond, before 1970 and after 2106', () => {
  const file = path.join(base, 'timed');
  const fd = fs.openSync(file, 'w');
  const before = fs.statSync(file, { bigint: true }).atimeNs;
  for (const [seconds, nanoseconds] of [
    [0, 0],
    [-1, 999_999_999],
    [-86400, 1],
    [2 ** 32 + 5, 123_456_789],
    [2 ** 31, 1],
  ] as const) {
    tree.changeTime(fd, seconds, nanoseconds);
    const expected = BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
    expect(fs.statSync(file, { bigint: true }).mtimeNs).toBe(expected);
  }
  expect(fs.statSync(file, { bigint: true }).atimeNs).toBe(before);
  fs.closeSync(fd);
});

test('sets and removes extended attributes of any bytes, the empty value too', () => {
  const fd = fs.openSync(path.join(base, 'attributed'), 'w');
  tree.setAttribute(fd, 'user.empty', new Uint8Array());
  tree.setAttribute(fd, 'user.bytes', Buffer.from([0, 255, 10]));
  tree.setAttribute(fd, 'user.gone', Buffer.from('x'));
  tree.removeAttribute(fd, 'user.gone');
  fs.closeSync(fd);
  expect(run(['getfattr', '-d', '-e', 'hex', 'attributed'], { cwd: base }).toString()).toBe(
    '# file: attributed\nuser.bytes=0x00ff0a\nuser.empty=0x\n\n',
  );
});

test('removes directories only when they are empty', () => {
  tree.makeDirectoryAt(root, name('d'));
  expect(stat('d')).toStartWith('directory 700');
  fs.writeFileSync(path.join(base, 'd', 'f'), '');
  expect(code(() => tree.removeDirectoryAt(root, name('d')))).toBe('ENOTEMPTY');
  fs.rmSync(path.join(base, 'd', 'f'));
  tree.removeDirectoryAt(root, name('d'));
  expect(code(() => tree.fileTypeAt(root, name('d')))).toBe('ENOENT');
});

test('takes names of any bytes but does not hand out a name outside its memory', () => {
  tree.makeDirectoryAt(root, name('\xff\xfe'));
  expect(
    fs.readdirSync(base, { encoding: 'buffer' }).some((entry) => entry.equals(Buffer.from([0xff, 0xfe]))),
  ).toBe(true);
  expect(() => names.name(513)).toThrow(RangeError);
  expect(() => names.name(-1)).toThrow(RangeError);
});

test('writes a file system out', () => {
  expect(() => tree.syncFileSystem(root)).not.toThrow();
  expect(code(() => tree.syncFileSystem(9999))).toBe('EBADF');
});
