import { afterAll, expect, test } from 'bun:test';
import fs from 'node:fs';
import {
  exists,
  LineDevice,
  makeDirectories,
  makeLink,
  readSmallFile,
  writeSmallFile,
} from '../../src/kernel/small-file.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const work = new TemporaryDirectory();
afterAll(() => work[Symbol.dispose]());

test('a file is read as node:fs reads it, also one that does not know how long it is', () => {
  const text = '\ufeffbücher ☃ \0 end';
  work.write('text', text);
  expect(readSmallFile(work.file('text'), 100)).toBe(text);
  work.write('not-utf-8', Buffer.from('61ff62', 'hex'));
  expect(readSmallFile(work.file('not-utf-8'), 100)).toBe(fs.readFileSync(work.file('not-utf-8'), 'utf8'));
  expect(readSmallFile('/proc/cmdline', 1 << 20)).toBe(fs.readFileSync('/proc/cmdline', 'utf8'));
});

test('a file with as many bytes as it may have is read, and one with more is not', () => {
  work.write('long', 'x'.repeat(10_000));
  expect(readSmallFile(work.file('long'), 10_000)).toBe('x'.repeat(10_000));
  expect(readSmallFile(work.file('long'), 9_999)).toBeUndefined();
});

test('what is written takes the place of what was there', () => {
  writeSmallFile(work.file('unit'), 'a long text');
  writeSmallFile(work.file('unit'), 'ü');
  expect(fs.readFileSync(work.file('unit'), 'utf8')).toBe('ü');
  expect(fs.statSync(work.file('unit')).mode & 0o777).toBe(0o666 & ~process.umask());
});

test('directories are made with those around them, and once', () => {
  makeDirectories(work.file('a/b//c'));
  makeDirectories(work.file('a/b/c'));
  expect(fs.statSync(work.file('a/b/c')).isDirectory()).toBe(true);
  expect(exists(work.file('a/b/c'))).toBe(true);
  expect(exists(work.file('a/b/d'))).toBe(false);
});

test('a link takes the place of a link, of a file, and of one that leads nowhere', () => {
  work.write('link', 'a file');
  for (const target of ['one', 'two']) {
    makeLink(target, work.file('link'));
    expect(fs.readlinkSync(work.file('link'))).toBe(target);
  }
});

test('a line is one write', () => {
  work.write('lines', '');
  const device = new LineDevice(work.file('lines'));
  device.write(Buffer.from('one\n'));
  device.write(Buffer.from('two\n'));
  device.close();
  expect(fs.readFileSync(work.file('lines'), 'utf8')).toBe('one\ntwo\n');
});

test('what fails says what it was, where, and why', () => {
  work.write('file', '');
  const inFile = work.file('file/x');
  expect(() => readSmallFile(work.file('none'), 1)).toThrow(`open(${work.file('none')}): ENOENT`);
  expect(() => readSmallFile(work.path, 1)).toThrow(`read(${work.path}): EISDIR`);
  expect(() => writeSmallFile(inFile, 'x')).toThrow(`open(${inFile}): ENOTDIR`);
  expect(() => makeDirectories(inFile)).toThrow(`mkdir(${inFile}): ENOTDIR`);
  // Whose directory is there, and takes none: the reason is that of mkdir(2), not that nothing is there.
  expect(() => makeDirectories('/sys/rdpull/x')).toThrow('mkdir(/sys/rdpull): EPERM');
  expect(() => makeLink('x', inFile)).toThrow(`symlink(${inFile}): ENOTDIR`);
  expect(() => makeLink('x', work.path)).toThrow(`unlink(${work.path}): EISDIR`);
});
