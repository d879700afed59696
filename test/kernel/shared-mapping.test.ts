import { afterEach, expect, test } from 'bun:test';
import fs from 'node:fs';
import { SharedMapping } from '../../src/kernel/shared-mapping.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const descriptors: number[] = [];
afterEach(() => {
  for (const fd of descriptors.splice(0)) fs.closeSync(fd);
});

function sparse(directory: TemporaryDirectory, size: number): number {
  const fd = fs.openSync(directory.file('image'), 'w+');
  descriptors.push(fd);
  fs.ftruncateSync(fd, size);
  return fd;
}

test('what is written through a mapping is in the file and in every other mapping of it', () => {
  using directory = new TemporaryDirectory();
  const fd = sparse(directory, 10_000);
  using writer = SharedMapping.open(fd, 10_000, 'write');
  using reader = SharedMapping.open(fd, 10_000, 'read');
  writer.view(9_990, 10).set(Buffer.from('0123456789'));
  expect(Buffer.from(reader.view(9_992, 3)).toString()).toBe('234');
  const bytes = Buffer.alloc(10);
  fs.readSync(fd, bytes, 0, 10, 9_990);
  expect(bytes.toString()).toBe('0123456789');
  expect(reader.addressOf(4096, 1)).toBe(reader.address + 4096);
});

test('a file of more than 4 GiB is mapped as a whole, and seen in parts', () => {
  using directory = new TemporaryDirectory();
  const size = 9 * 1024 ** 3 + 1;
  const fd = sparse(directory, size);
  using mapping = SharedMapping.open(fd, size, 'write');
  mapping.view(size - 1, 1)[0] = 42;
  const last = Buffer.alloc(1);
  fs.readSync(fd, last, 0, 1, size - 1);
  expect(last[0]).toBe(42);
});

test('what the collector takes is the view, never the memory', () => {
  using directory = new TemporaryDirectory();
  using mapping = SharedMapping.open(sparse(directory, 1024 * 1024), 1024 * 1024, 'write');
  for (let round = 0; round < 2_000; round++) mapping.view(round, 1000).fill(round);
  Bun.gc(true);
  expect(mapping.view(1_999, 1)[0]).toBe(1_999 % 256);
  expect(mapping.view(0, 1)[0]).toBe(0);
});

test('what does not lie in it has no view, and nothing has one after its end', () => {
  using directory = new TemporaryDirectory();
  const mapping = SharedMapping.open(sparse(directory, 100), 100, 'read');
  expect(mapping.view(100, 0).length).toBe(0);
  for (const [offset, length] of [
    [-1, 1],
    [100, 1],
    [0, 101],
    [0, -1],
  ] as const) {
    expect(() => mapping.view(offset, length)).toThrow(RangeError);
  }
  mapping[Symbol.dispose]();
  mapping[Symbol.dispose]();
  expect(() => mapping.view(0, 1)).toThrow(RangeError);
});

test('a descriptor that cannot be mapped is refused by name', () => {
  using directory = new TemporaryDirectory();
  sparse(directory, 100);
  const fd = fs.openSync(directory.file('image'), 'r');
  descriptors.push(fd);
  expect(() => SharedMapping.open(fd, 100, 'write')).toThrow('mmap: EACCES');
  expect(() => SharedMapping.open(-1, 100, 'read')).toThrow('mmap: EBADF');
});
