import { expect, test } from 'bun:test';
import fs from 'node:fs';
import { createFlushing } from '../../../src/transfer/sink/flushing.ts';
import { TemporaryDirectory } from '../../fixtures/temporary-directory.ts';

const MUCH = 16 * 1024 * 1024;

/** What becomes of so many bytes that somebody has written. fdatasync(2) is refused for a device of characters. */
async function flushed(path: string, bytes: readonly number[]): Promise<unknown> {
  const fd = fs.openSync(path, 'r+');
  try {
    const flushing = createFlushing(fd, path);
    for (const each of bytes) flushing.written(each);
    return await flushing.end().catch((error: unknown) => error);
  } finally {
    fs.closeSync(fd);
  }
}

test('what the disk does not keep is told in the end, however much comes behind it', async () => {
  expect(await flushed('/dev/null', [MUCH])).toMatchObject({ cause: { code: 'EINVAL' } });
  expect(await flushed('/dev/null', [MUCH / 2, MUCH / 2, MUCH, MUCH])).toMatchObject({
    cause: { code: 'EINVAL' },
  });
});

test('what the disk does not keep is known to who asks meanwhile', async () => {
  const fd = fs.openSync('/dev/null', 'r+');
  try {
    const flushing = createFlushing(fd, '/dev/null');
    flushing.requireKept();
    flushing.written(MUCH);
    await flushing.end().catch(() => undefined);
    expect(() => flushing.requireKept()).toThrow('EINVAL');
  } finally {
    fs.closeSync(fd);
  }
});

test('little is left to who ends the file', async () => {
  expect(await flushed('/dev/null', [MUCH - 1])).toBeUndefined();
});

test('a file on a disk is put there', async () => {
  using directory = new TemporaryDirectory();
  expect(await flushed(directory.write('image', 'some'), [MUCH, MUCH])).toBeUndefined();
});
