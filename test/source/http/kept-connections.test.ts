import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import net from 'node:net';
import { openSource } from '../../../src/source/open-source.ts';
import { Pools } from '../../../src/source/pools.ts';
import type { SourceOptions } from '../../../src/source/source.ts';
import { rdpull } from '../../fixtures/executable.ts';
import { type FaultCall, startFaultServer } from '../../fixtures/fault-server.ts';
import { GpgHome } from '../../fixtures/gpg.ts';
import { startNginx } from '../../fixtures/nginx.ts';
import { noiseOf } from '../../fixtures/noise.ts';
import { run } from '../../fixtures/run.ts';
import { TemporaryDirectory } from '../../fixtures/temporary-directory.ts';
import { sha256 } from '../../transfer/transfer-run.ts';
import { readAll } from '../reading.ts';

// What begins like a squashfs is a file system without a dm-verity of its own.
const IMAGE = Buffer.concat([Buffer.from('hsqs'), Buffer.alloc(4092), noiseOf(3_000_000)]);
const served = new TemporaryDirectory();
const gpg = new GpgHome();
let keyring = '';

beforeAll(() => {
  const files = {
    'image.raw': IMAGE,
    'image.roothash': 'a'.repeat(64),
    'image.verity': noiseOf(100_000, 1),
  };
  for (const [name, content] of Object.entries(files)) served.write(name, content);
  served.write('SHA256SUMS', run(['sha256sum', ...Object.keys(files)], { cwd: served.path }));
  const by = gpg.generateKey('Builder');
  keyring = served.write('key.pgp', gpg.run(['--export', by]));
  served.write('SHA256SUMS.gpg', gpg.sign(fs.readFileSync(served.file('SHA256SUMS')), { by }));
});
afterAll(() => {
  served[Symbol.dispose]();
  gpg[Symbol.dispose]();
});

/** Counts what is connected to a server, on the way to it. */
async function countedWayTo(port: number) {
  let connections = 0;
  let open = 0;
  const server = net.createServer((socket) => {
    connections++;
    open++;
    const further = net.connect(port, '127.0.0.1');
    for (const each of [socket, further]) each.on('error', () => undefined);
    socket.on('close', () => {
      open--;
      further.destroy();
    });
    further.on('close', () => socket.destroy());
    socket.pipe(further).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('there is no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    connections: () => connections,
    open: () => open,
    [Symbol.dispose]: () => void server.close(),
  };
}

/** Answers as a web server does, with what is in the directory. */
function answered(call: FaultCall): Promise<void> {
  const name = call.path.slice(1);
  if (!served.names().includes(name))
    return call.send('HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone');
  const content = fs.readFileSync(served.file(name));
  return call
    .send(`HTTP/1.1 200 OK\r\nContent-Length: ${content.length}\r\n\r\n`)
    .then(() => call.send(content));
}

/** What the program makes of the image and what lies beside it. */
async function pulled(base: string): Promise<readonly string[]> {
  using target = new TemporaryDirectory();
  const { status, stderr } = await rdpull([
    ...['pull', `--image-root=${target.path}`, `--keyring=${keyring}`, '--patience=0', '--quiet'],
    `${base}/image.raw`,
  ]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(fs.readFileSync(target.file('image.raw')).equals(IMAGE)).toBe(true);
  return target.names();
}

const ALL = ['image.raw', 'image.roothash', 'image.verity'];

describe('checksum, signature, image and side files come over one connection', () => {
  test('of nginx, which is closed when all is there', async () => {
    await using nginx = await startNginx(served.path);
    using way = await countedWayTo(nginx.port);
    expect(await pulled(way.url)).toEqual(ALL);
    expect(way.connections()).toBe(1);
    while (way.open() > 0) await Bun.sleep(5);
  });

  test('of any server, with every 404 on the way', async () => {
    await using server = await startFaultServer(answered);
    expect(await pulled(server.url)).toEqual(ALL);
    expect(server.requests.map((head) => head.split(' ')[1])).toEqual([
      ...['/image.raw.sha256', '/SHA256SUMS', '/SHA256SUMS.gpg'],
      ...['/image.raw', '/image.roothash', '/image.verity'],
    ]);
    expect(server.connections()).toBe(1);
  });
});

/** Reads several files over the connections of one pull. */
async function readInTurn(
  base: string,
  names: readonly string[],
  options: Partial<SourceOptions> = {},
): Promise<string[]> {
  using pools = new Pools();
  const all: string[] = [];
  for (const name of names) all.push(await readAll(`${base}/${name}`, { pools, ...options }));
  return all;
}

const NAMES = ['one', 'two', 'three'];
const answer = (call: FaultCall) =>
  `HTTP/1.1 200 OK\r\nContent-Length: ${call.path.length}\r\n\r\n${call.path}`;
const PATHS = NAMES.map((name) => `/${name}`);

describe('a connection is used again', () => {
  test('without anybody being told when the server closes it behind each answer', async () => {
    await using server = await startFaultServer(async (call) => {
      await call.send(answer(call));
      call.end();
    });
    expect(await readInTurn(server.url, NAMES)).toEqual(PATHS);
  });

  test.each(['end', 'reset'] as const)(
    'not when the server does so as the next request comes (%s)',
    async (how) => {
      let isSecond = false;
      await using server = await startFaultServer(async (call) => {
        isSecond = !isSecond;
        if (!isSecond && call.number < 4) return call[how]();
        await call.send(answer(call));
      });
      expect(await readInTurn(server.url, NAMES)).toEqual(PATHS);
      // Asked again, over a new connection.
      expect(server.requests.length).toBe(5);
      expect(server.connections()).toBe(3);
    },
  );

  test('but no first request is sent twice', async () => {
    await using server = await startFaultServer((call) => call.end());
    await expect(readInTurn(server.url, NAMES)).rejects.toThrow('the server closed the connection too early');
    expect(server.requests.length).toBe(1);
  });

  test('but once by a server that then does not answer any more', async () => {
    const heard = new Set<number>();
    await using server = await startFaultServer(async (call) => {
      if (heard.has(call.connection)) return;
      heard.add(call.connection);
      await call.send(answer(call));
    });
    const begun = performance.now();
    expect(await readInTurn(server.url, [...NAMES, 'four'], { silence: 60_000 })).toEqual([
      ...PATHS,
      '/four',
    ]);
    // It is waited for once, and for some seconds.
    expect(performance.now() - begun).toBeLessThan(20_000);
    expect(server.requests.length).toBe(5);
    expect(server.connections()).toBe(4);
  }, 60_000);

  test('not behind a head with lines that end with LF alone, or an answer that is not read to its end', async () => {
    await using server = await startFaultServer((call) => call.send(answer(call).replaceAll('\r\n', '\n')));
    expect(await readInTurn(server.url, NAMES)).toEqual(PATHS);
    expect(server.connections()).toBe(3);

    await using large = await startFaultServer((call) =>
      call.send(`HTTP/1.1 200 OK\r\nContent-Length: ${IMAGE.length}\r\n\r\n`).then(() => call.send(IMAGE)),
    );
    using pools = new Pools();
    const { signal } = new AbortController();
    for (let times = 0; times < 2; times++) {
      const source = await openSource(`${large.url}/a`, { ca: [], login: undefined, signal, pools });
      for await (const _ of source.body) break;
      source.close();
    }
    expect(large.connections()).toBe(2);
  });

  test('not by what was opened with something else to show', async () => {
    await using server = await startFaultServer((call) => call.send(answer(call)));
    using pools = new Pools();
    await readAll(`${server.url}/one`, { pools });
    await readAll(`${server.url}/two`, { pools, zone: 'lo' });
    expect(server.connections()).toBe(2);
  });

  test('and what comes behind an answer is no answer to the next request', async () => {
    await using server = await startFaultServer((call) =>
      call.send(`${answer(call)}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`),
    );
    expect(await readInTurn(server.url, NAMES)).toEqual(PATHS);
  });
});

test('a body of a known length arrives whole, though its server has gone and its reader is slow', async () => {
  await using server = await startFaultServer(async (call) => {
    await call.send(`HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ${IMAGE.length}\r\n\r\n`);
    await call.send(IMAGE);
    call.end();
  });
  const { signal } = new AbortController();
  const source = await openSource(`${server.url}/a`, { ca: [], login: undefined, signal });
  const digest = new Bun.CryptoHasher('sha256');
  for await (const chunk of source.body) {
    await Bun.sleep(20);
    digest.update(chunk);
  }
  expect(digest.digest('hex')).toBe(sha256(IMAGE));
});
