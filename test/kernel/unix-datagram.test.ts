import { describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { isSystemError } from '../../src/kernel/system-error.ts';
import { UnixDatagram } from '../../src/kernel/unix-datagram.ts';
import { NotifyServer } from '../fixtures/notify-server.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

describe('messages arrive whole and in order', () => {
  test.each([
    ['at a path', (directory: string) => `${directory}/notify`],
    ['at an abstract socket', (directory: string) => `@rdpull-test${directory}`],
    [
      'at a path as long as it may be',
      (directory: string) => `${directory}/${'x'.repeat(106 - directory.length)}`,
    ],
  ])('%s', async (_, addressIn) => {
    using directory = new TemporaryDirectory();
    const address = addressIn(directory.path);
    await using server = await NotifyServer.listen(address);
    using socket = new UnixDatagram(address);
    const messages = ['READY=1', 'STATUS=größer\nX_IMPORT_PROGRESS=5%', `STATUS=${'x'.repeat(10_000)}`];
    for (const message of messages) socket.send(message);
    expect(await server.received((all) => all.length > messages.length)).toEqual(messages);
  });
});

test.each(['', 'notify', '@', '/', 'vsock:2:9999', `/${'x'.repeat(107)}`, `@${'x'.repeat(108)}`])(
  '%j is no address',
  (address) => {
    expect(() => new UnixDatagram(address)).toThrow(/neither a path nor an abstract socket|longer than/);
  },
);

test('nobody listening is an error of the system call', () => {
  using directory = new TemporaryDirectory();
  using socket = new UnixDatagram(directory.file('notify'));
  let thrown: unknown;
  try {
    socket.send('READY=1');
  } catch (error) {
    thrown = error;
  }
  expect(isSystemError(thrown, 'ENOENT')).toBe(true);
});

test('a receiver that is full holds a message up for a second, not for ever', async () => {
  using directory = new TemporaryDirectory();
  await using server = await NotifyServer.listen(directory.file('notify'));
  server.pause();
  using socket = new UnixDatagram(directory.file('notify'));
  const begun = performance.now();
  expect(() => {
    for (let count = 0; count < 100_000; count++) socket.send('STATUS=x');
  }).toThrow('EAGAIN');
  expect(performance.now() - begun).toBeLessThan(5000);
});

test('tells whether the receiver has yet to read something', async () => {
  using directory = new TemporaryDirectory();
  await using server = await NotifyServer.listen(directory.file('notify'));
  using socket = new UnixDatagram(directory.file('notify'));
  expect(socket.isUnread).toBe(false);
  server.pause();
  socket.send('STATUS=x');
  expect(socket.isUnread).toBe(true);
  server.resume();
  await server.received((all) => all.length > 1);
  expect(socket.isUnread).toBe(false);
});

test('closes its descriptor', () => {
  const before = fs.readdirSync('/proc/self/fd').length;
  for (let count = 0; count < 10; count++) new UnixDatagram('@rdpull-test-nobody')[Symbol.dispose]();
  // The runtime may open one or two of its own meanwhile.
  expect(fs.readdirSync('/proc/self/fd').length).toBeLessThan(before + 5);
});
