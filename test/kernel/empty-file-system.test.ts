import { afterEach, beforeEach, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { emptyFileSystem } from '../../src/kernel/empty-file-system.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

let work: TemporaryDirectory;
let top: string;
let fd: number;
beforeEach(() => {
  work = new TemporaryDirectory();
  top = work.file('top');
  fs.mkdirSync(top);
  fd = fs.openSync(top, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
});
afterEach(() => {
  fs.closeSync(fd);
  work[Symbol.dispose]();
});

test('all files go, and the directories but for those at the top', () => {
  for (const directory of ['a/b/c', 'd']) fs.mkdirSync(path.join(top, directory), { recursive: true });
  const files = ['x', 'a/x', 'a/b/c/x', 'd/ä\n'];
  for (const name of files) fs.writeFileSync(path.join(top, name), Buffer.alloc(8192, 1));
  for (let index = 0; index < 3000; index++) fs.writeFileSync(path.join(top, 'a/b', `${index}`), '');
  fs.linkSync(path.join(top, 'x'), path.join(top, 'd/y'));
  expect(emptyFileSystem(fd)).toEqual({ files: 3005, bytes: 4 * 8192, left: 0 });
  expect(fs.readdirSync(top, { recursive: true }).sort()).toEqual(['a', 'd']);
});

test('no link is followed, and no file is opened', () => {
  fs.mkdirSync(work.file('outside'));
  work.write('outside/file', 'stays');
  fs.mkdirSync(path.join(top, 'a'));
  for (const name of ['link', 'a/link']) fs.symlinkSync(work.file('outside'), path.join(top, name));
  Bun.spawnSync(['mkfifo', path.join(top, 'a/fifo')]);
  expect(emptyFileSystem(fd).files).toBe(3);
  expect(fs.readFileSync(work.file('outside/file'), 'utf8')).toBe('stays');
});

test('what lies deeper than any initrd is left, whatever takes descriptors there', () => {
  const names = Array.from({ length: 80 }, () => 'd');
  fs.mkdirSync(path.join(top, ...names), { recursive: true });
  for (const [level] of names.entries())
    fs.writeFileSync(path.join(top, ...names.slice(0, level), 'file'), '');
  expect(emptyFileSystem(fd)).toEqual({ files: 65, bytes: 0, left: 0 });
  expect(fs.readdirSync(path.join(top, ...names.slice(0, 65))).sort()).toEqual(['d', 'file']);
});

test('a directory that somebody else has removed meanwhile is empty, as systemd does it before Linux 7', () => {
  fs.rmdirSync(top);
  expect(emptyFileSystem(fd)).toEqual({ files: 0, bytes: 0, left: 0 });
});

test('somebody else may remove the same at the same time', async () => {
  const directory = path.join(top, 'a');
  for (let index = 0; index < 500; index++) {
    fs.mkdirSync(path.join(directory, `${index}/b`), { recursive: true });
    fs.writeFileSync(path.join(directory, `${index}/b/file`), '');
  }
  const other = Bun.spawn(['rm', '-rf', directory]);
  while (namesIn(directory).length === 500) await Bun.sleep(1);
  expect(emptyFileSystem(fd).left).toBe(0);
  await other.exited;
  expect(namesIn(directory)).toEqual([]);
});

/** None of a directory that is gone already. */
function namesIn(directory: string): string[] {
  try {
    return fs.readdirSync(directory);
  } catch {
    return [];
  }
}
