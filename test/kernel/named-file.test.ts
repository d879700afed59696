import { afterAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import net from 'node:net';
import { readNamedFile } from '../../src/kernel/named-file.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const work = new TemporaryDirectory();
afterAll(() => work[Symbol.dispose]());

const LARGE = Buffer.from('0123456789abcdef'.repeat(20_000));

function pipe(name: string): string {
  run(['mkfifo', work.file(name)]);
  return work.file(name);
}

test('a file with as many bytes as it may have is read, and one with more is not', () => {
  const file = work.write('long', LARGE);
  expect(readNamedFile(file, LARGE.length).equals(LARGE)).toBe(true);
  expect(() => readNamedFile(file, LARGE.length - 1)).toThrow('it is longer than 319999 bytes');
});

test('a file that does not know how long it is is read, and bounded as well', () => {
  expect(readNamedFile('/proc/filesystems', 1 << 20).equals(fs.readFileSync('/proc/filesystems'))).toBe(true);
  expect(() => readNamedFile('/proc/filesystems', 10)).toThrow('it is longer than 10 bytes');
});

test('a link to /dev/null is a file without content', () => {
  fs.symlinkSync('/dev/null', work.file('masked'));
  expect(readNamedFile(work.file('masked'), 10)).toHaveLength(0);
});

test('what the kernel says of a file that cannot be opened is handed on', () => {
  expect(() => readNamedFile(work.file('none'), 10)).toThrow('ENOENT');
});

describe('what is never read, however long one waits:', () => {
  test('a directory', () => {
    expect(() => readNamedFile(work.path, 10)).toThrow('it is a directory');
  });

  test.each(['/dev/zero', '/dev/ptmx'])('%s', (device) => {
    expect(() => readNamedFile(device, 10)).toThrow('it is neither a file nor a pipe');
  });

  test('a socket', async () => {
    const server = net.createServer();
    await new Promise<void>((resolve) => server.listen(work.file('socket'), resolve));
    try {
      expect(() => readNamedFile(work.file('socket'), 10)).toThrow('it is neither a file nor a pipe');
    } finally {
      server.close();
    }
  });

  test('a pipe that nobody writes to', () => {
    expect(() => readNamedFile(pipe('idle'), 10)).toThrow('it is a pipe, and nobody writes to it');
  });

  test('a pipe whose writer says nothing', () => {
    const fd = fs.openSync(pipe('silent'), 'r+');
    try {
      expect(() => readNamedFile(work.file('silent'), 10)).toThrow(
        'it is a pipe that did not end within 10 seconds',
      );
    } finally {
      fs.closeSync(fd);
    }
  }, 30_000);

  test('a pipe without end', () => {
    const fd = fs.openSync(pipe('endless'), 'r+');
    try {
      fs.writeSync(fd, 'x'.repeat(11));
      expect(() => readNamedFile(work.file('endless'), 10)).toThrow('it is longer than 10 bytes');
    } finally {
      fs.closeSync(fd);
    }
  });
});

test('a pipe that somebody writes to slowly is read to its end, and gives the same again', async () => {
  const script = 'exec >"$1"; echo begun >&2; for part in one two three; do sleep 0.1; printf %s $part; done';
  const writer = Bun.spawn(['sh', '-c', script, 'sh', pipe('slow')], { stderr: 'pipe' });
  // Opened for reading it lets the writer go on, who is then there for certain.
  const fd = fs.openSync(work.file('slow'), fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  await writer.stderr.getReader().read();
  expect(readNamedFile(work.file('slow'), 100).toString()).toBe('onetwothree');
  expect(readNamedFile(work.file('slow'), 100).toString()).toBe('onetwothree');
  fs.closeSync(fd);
  await writer.exited;
});
