import { expect, test } from 'bun:test';
import net from 'node:net';
import { RdpullError } from '../../src/console/rdpull-error.ts';
import { openSource } from '../../src/source/open-source.ts';
import { startNginx } from '../fixtures/nginx.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

/** A port on loopback where nobody listens for now. */
async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const signal = new AbortController().signal;

async function failure(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof RdpullError) return error.code;
    throw error;
  }
  return 'none';
}

test('a server that comes up later is waited for, and each attempt is announced', async () => {
  const port = await freePort();
  const said: string[] = [];
  const patience = { milliseconds: 20_000, notify: (text: string) => void said.push(text) };
  const opening = openSource(`http://127.0.0.1:${port}/image.raw`, {
    ca: [],
    login: undefined,
    signal,
    patience,
  });
  await Bun.sleep(800);
  await using server = Bun.serve({ hostname: '127.0.0.1', port, fetch: () => new Response('here') });
  const source = await opening;
  expect(source.size).toBe(4);
  source.close();
  expect(said.length).toBeGreaterThanOrEqual(1);
  expect(said[0]).toMatch(
    new RegExp(
      `^http://127\\.0\\.0\\.1:${port}/image\\.raw: the connection was refused; trying again in 0\\.\\d s$`,
    ),
  );
  await server.stop(true);
});

test('a server that fails at first is asked again', async () => {
  let requests = 0;
  await using server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: () => (++requests === 1 ? new Response(null, { status: 503 }) : new Response('here')),
  });
  const patience = { milliseconds: 20_000, notify: () => undefined };
  const source = await openSource(`http://127.0.0.1:${server.port}/`, {
    ca: [],
    login: undefined,
    signal,
    patience,
  });
  source.close();
  expect(requests).toBe(2);
});

test('patience ends, and then the error is the last one', async () => {
  const port = await freePort();
  const begun = performance.now();
  const patience = { milliseconds: 1500, notify: () => undefined };
  const url = `http://127.0.0.1:${port}/image.raw`;
  expect(await failure(openSource(url, { ca: [], login: undefined, signal, patience }))).toBe(
    'connection-refused',
  );
  expect(performance.now() - begun).toBeLessThan(1600);
});

test('what will not change is not asked for again', async () => {
  let requests = 0;
  await using server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: () => {
      requests++;
      return new Response(null, { status: 404 });
    },
  });
  const patience = { milliseconds: 20_000, notify: () => undefined };
  const url = `http://127.0.0.1:${server.port}/`;
  expect(await failure(openSource(url, { ca: [], login: undefined, signal, patience }))).toBe(
    'http-not-found',
  );
  expect(requests).toBe(1);
});

test('aborting ends the waiting', async () => {
  const controller = new AbortController();
  const patience = { milliseconds: 60_000, notify: () => controller.abort() };
  const url = `http://127.0.0.1:${await freePort()}/`;
  const begun = performance.now();
  await expect(
    openSource(url, { ca: [], login: undefined, signal: controller.signal, patience }),
  ).rejects.toThrow();
  expect(performance.now() - begun).toBeLessThan(2000);
});

test.each([
  [{ from: 3 }, 'defghij', { from: 3, to: 9 }],
  [{ from: 3, to: 5 }, 'def', { from: 3, to: 5 }],
  [{ from: 3, to: 50 }, 'defghij', { from: 3, to: 9 }],
  [undefined, 'abcdefghij', undefined],
])('a part of a file, by file: and by http: %p', async (wanted, expected, range) => {
  using directory = new TemporaryDirectory();
  const path = directory.write('file', 'abcdefghij');
  await using server = await startNginx(directory.path);
  for (const url of [`file://${path}`, `${server.url}/file`]) {
    const source = await openSource(url, { ca: [], login: undefined, signal }, wanted);
    const parts: Buffer[] = [];
    for await (const chunk of source.body) parts.push(Buffer.from(chunk));
    source.close();
    expect(Buffer.concat(parts).toString()).toBe(expected);
    expect(source).toMatchObject({ size: 10, acceptsRanges: true });
    expect(source.range).toEqual(range);
  }
});

test('a server that sends no parts sends the whole, and says so', async () => {
  await using server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response('abcdefghij') });
  const source = await openSource(
    `http://127.0.0.1:${server.port}/`,
    { ca: [], login: undefined, signal },
    { from: 3 },
  );
  source.close();
  expect(source).toMatchObject({ size: 10, acceptsRanges: false, range: undefined, validator: undefined });
});
