import { afterEach, expect, test } from 'bun:test';
import net from 'node:net';
import { createLowWater, type LowWater } from '../../../src/source/http/low-water.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const PIECE = 4 * KIB;
const PIECES = 150;

const open: { destroy(): void }[] = [];

afterEach(() => {
  for (const each of open.splice(0)) each.destroy();
});

/** Both ends of a connection. What comes is counted, and told to a low water, if there is to be one. */
async function connection(isWatched: boolean) {
  const { promise: accepted, resolve: accept } = Promise.withResolvers<net.Socket>();
  const server = net.createServer(accept).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server does not listen');
  const socket = net.connect(address.port, '127.0.0.1');
  const sender = await accepted;
  sender.setNoDelay(true);
  open.push(socket, sender, { destroy: () => server.close() });
  const lowWater: LowWater | undefined = isWatched ? createLowWater(socket) : undefined;
  const heard = { chunks: 0, bytes: 0, left: 2 * MIB + PIECES * PIECE };
  socket.on('data', ({ length }) => {
    heard.chunks++;
    heard.bytes += length;
    heard.left -= length;
    lowWater?.arrived(length, heard.left);
  });
  const until = async (bytes: number, patience: number) => {
    const begun = performance.now();
    while (heard.bytes < bytes && performance.now() - begun < patience) await Bun.sleep(5);
    return heard.bytes;
  };
  return { sender, heard, lowWater, until };
}

/** A body whose first 2 MiB come slowly enough to be waited for, and the rest in short pieces. */
async function sendInPieces({ sender, heard, until }: Awaited<ReturnType<typeof connection>>) {
  for (let part = 0; part < 4; part++) {
    sender.write(Buffer.alloc(MIB / 2));
    await Bun.sleep(30);
  }
  await until(2 * MIB, 5000);
  const before = heard.chunks;
  for (let piece = 0; piece < PIECES; piece++) {
    sender.write(Buffer.alloc(PIECE));
    await Bun.sleep(1);
  }
  await until(2 * MIB + PIECES * PIECE, 5000);
  return heard.chunks - before;
}

test('what comes in short pieces is heard of together, and all of it', async () => {
  const watched = await connection(true);
  const chunks = await sendInPieces(watched);
  expect(watched.heard.left).toBe(0);
  expect(await sendInPieces(await connection(false))).toBeGreaterThan(PIECES / 3);
  expect(chunks).toBeLessThan(PIECES / 6);
}, 30_000);

test('what is there is heard of when nothing follows it, though it is less than was waited for', async () => {
  const { sender, until } = await connection(true);
  for (let part = 0; part < 3; part++) {
    sender.write(Buffer.alloc(MIB / 2));
    await Bun.sleep(30);
  }
  const there = await until((3 * MIB) / 2, 5000);
  sender.write(Buffer.alloc(KIB));
  expect(await until(there + KIB, 5000)).toBe(there + KIB);
});

test('behind a body each byte is heard of at once', async () => {
  const { sender, heard, lowWater, until } = await connection(true);
  for (let part = 0; part < 3; part++) {
    sender.write(Buffer.alloc(MIB / 2));
    await Bun.sleep(30);
  }
  const there = await until((3 * MIB) / 2, 5000);
  lowWater?.end();
  sender.write(Buffer.alloc(1));
  await until(there + 1, 60);
  expect(heard.bytes).toBe(there + 1);
});
