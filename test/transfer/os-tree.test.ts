import { afterEach, beforeEach, expect, test } from 'bun:test';
import fs from 'node:fs';
import { osTreeRoot } from '../../src/transfer/os-tree.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

let directory: TemporaryDirectory;
beforeEach(() => {
  directory = new TemporaryDirectory();
});
afterEach(() => directory[Symbol.dispose]());

test('a tree with an os-release is its own root', () => {
  fs.mkdirSync(directory.file('etc'));
  directory.write('etc/os-release', '');
  expect(osTreeRoot(directory.path)).toBe(directory.path);
});

test('a directory that wraps one gives way to it', () => {
  fs.mkdirSync(directory.file('image/usr/lib'), { recursive: true });
  directory.write('image/usr/lib/os-release', '');
  expect(osTreeRoot(directory.path)).toBe(directory.file('image'));
});

test.each<[string, (path: string) => void]>([
  ['a file', (path) => fs.writeFileSync(path, '')],
  ['a link to itself', (path) => fs.symlinkSync(path, path)],
  ['a link to nothing', (path) => fs.symlinkSync('nothing', path)],
])('%s in place of etc and usr makes it no OS tree, and no failure', (_, make) => {
  for (const name of ['etc', 'usr']) make(directory.file(name));
  expect(osTreeRoot(directory.path)).toBe(directory.path);
});
