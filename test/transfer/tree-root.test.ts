import { expect, test } from 'bun:test';
import fs from 'node:fs';
import { makeTreeRoot } from '../../src/transfer/tree-root.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

test('the root of a tree lets everybody through, whatever the umask', () => {
  using directory = new TemporaryDirectory();
  const before = process.umask(0o077);
  try {
    makeTreeRoot(directory.file('tree'));
  } finally {
    process.umask(before);
  }
  expect(fs.statSync(directory.file('tree')).mode & 0o7777).toBe(0o755);
});
