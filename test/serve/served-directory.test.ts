import { expect, test } from 'bun:test';
import fs from 'node:fs';
import { entityTag } from '../../src/serve/entity-tag.ts';
import { disposable, ServedDirectory } from '../../src/serve/served-directory.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

function kindOf(served: ServedDirectory, ...names: string[]): string {
  using found = disposable(served.open(names));
  return found.kind === 'refused' ? found.why : found.kind;
}

test('symbolic links that lead out, hidden files, fifos and secrets are not served', () => {
  using directory = new TemporaryDirectory();
  fs.mkdirSync(directory.file('out/.git'), { recursive: true });
  const root = directory.file('out');
  directory.write('out/image.raw', 'image');
  directory.write('out/key', 'secret');
  directory.write('out/.git/config', 'x');
  directory.write('outside', 'x');
  fs.symlinkSync('image.raw', `${root}/inside`);
  fs.symlinkSync('../outside', `${root}/escape`);
  fs.symlinkSync('..', `${root}/up`);
  fs.symlinkSync('.git', `${root}/repository`);
  fs.linkSync(`${root}/key`, `${root}/other-name`);
  run(['mkfifo', `${root}/fifo`]);

  const served = new ServedDirectory(root, [`${root}/key`]);
  expect(kindOf(served, 'image.raw')).toBe('file');
  expect(kindOf(served, 'inside')).toBe('file');
  expect(kindOf(served)).toBe('directory');
  expect(kindOf(served, 'none')).toBe('missing');
  expect(kindOf(served, 'image.raw', 'x')).toBe('missing');
  expect(kindOf(served, '.git', 'config')).toBe('missing');
  expect(kindOf(served, 'repository', 'config')).toBe('it is hidden');
  expect(kindOf(served, 'escape')).toBe('a symbolic link leads out of the directory');
  expect(kindOf(served, 'up', 'outside')).toBe('a symbolic link leads out of the directory');
  expect(kindOf(served, 'key')).toBe('it is a secret');
  expect(kindOf(served, 'other-name')).toBe('it is a secret');
  expect(kindOf(served, 'fifo')).toBe('it is no regular file');
  expect(served.list([])?.map(({ name }) => name)).toEqual(['image.raw', 'inside']);
});

test('new content of the same size and date in the same file has another entity tag', async () => {
  using directory = new TemporaryDirectory();
  const date = new Date('2026-01-01');
  const tagOf = (content: string) => {
    fs.utimesSync(directory.write('image.raw', content), date, date);
    using found = disposable(new ServedDirectory(directory.path, []).open(['image.raw']));
    return found.kind === 'file' ? entityTag(found.state) : undefined;
  };
  const before = tagOf('one');
  // More than the tick of the kernel's file times.
  await Bun.sleep(50);
  expect(before).toMatch(/^"[0-9a-f-]+"$/);
  expect(tagOf('two')).not.toBe(before);
});
