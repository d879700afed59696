import { expect, test } from 'bun:test';
import net from 'node:net';
import { isAnyoneConnected } from '../../../src/serve/nvme/connected-hosts.ts';

test.each(['127.0.0.1', '::1', '::'])('a connection to a port of %s is seen, and its end', async (host) => {
  const server = net.createServer((socket) => socket.resume());
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  expect(isAnyoneConnected(address.port)).toBe(false);
  const socket = net.connect(address.port, host === '::' ? '127.0.0.1' : host);
  await new Promise((resolve) => socket.once('connect', resolve));
  expect(isAnyoneConnected(address.port)).toBe(true);
  const closed = new Promise((resolve) => server.close(resolve));
  socket.destroy();
  await closed;
  expect(isAnyoneConnected(address.port)).toBe(false);
});
