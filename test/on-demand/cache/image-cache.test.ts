import { expect, test } from 'bun:test';
import fs from 'node:fs';
import { ImageCache } from '../../../src/on-demand/cache/image-cache.ts';
import { TemporaryDirectory } from '../../fixtures/temporary-directory.ts';

test('a file becomes as long as the image, takes no room, and is seen as memory and as a file', () => {
  using directory = new TemporaryDirectory();
  const fd = fs.openSync(directory.file('cache'), 'w+');
  try {
    const size = 6 * 1024 ** 3;
    using cache = ImageCache.open(fd, size);
    expect(fs.fstatSync(fd)).toMatchObject({ size, blocks: 0 });
    fs.writeSync(fd, 'end', size - 3);
    expect(Buffer.from(cache.mapping.view(size - 3, 3)).toString()).toBe('end');
    cache.mapping.view(4096, 5).set(Buffer.from('start'));
    const read = Buffer.alloc(5);
    fs.readSync(fd, read, 0, 5, 4096);
    expect(read.toString()).toBe('start');
    expect(cache.present.has(0, 1)).toBe(false);
  } finally {
    fs.closeSync(fd);
  }
});
