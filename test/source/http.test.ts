import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import net from 'node:net';
import { RdpullError } from '../../src/console/rdpull-error.ts';
import { splitLogin } from '../../src/source/login.ts';
import { fetchSmallFile, openSource } from '../../src/source/open-source.ts';
import type { SourceOptions } from '../../src/source/source.ts';
import { startFaultServer } from '../fixtures/fault-server.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { type Route, startWebServer } from '../fixtures/web-server.ts';

const NO_SIGNAL = new AbortController().signal;

async function read(url: string, options: Partial<SourceOptions> = {}): Promise<string> {
  const source = await openSource(url, { ca: [], login: undefined, signal: NO_SIGNAL, ...options });
  try {
    const parts: Buffer[] = [];
    for await (const chunk of source.body) parts.push(Buffer.from(chunk));
    return Buffer.concat(parts).toString();
  } finally {
    source.close();
  }
}

async function failure(promise: Promise<unknown>): Promise<{ code: string; message: string; hint: string }> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof RdpullError) return error.toRecord();
    throw error;
  }
  throw new Error('expected a failure');
}

/** A server that answers every connection with the same bytes, and then does `then`. */
async function rawServer(
  answer: string,
  then: (socket: net.Socket) => void,
): Promise<{ url: string; [Symbol.dispose](): void }> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('data', () => socket.write(answer, () => setTimeout(() => then(socket), 20)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/image.raw`,
    [Symbol.dispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

const directory = new TemporaryDirectory();
afterAll(() => directory[Symbol.dispose]());
const image = directory.write('image.raw', 'the image');

describe('what the server says of the file', () => {
  test('length and date are known before the body', async () => {
    await using server = startWebServer(directory.path);
    const source = await openSource(`${server.url}/image.raw`, {
      ca: [],
      login: undefined,
      signal: NO_SIGNAL,
    });
    expect(source.size).toBe(9);
    expect(source.lastModified?.getTime()).toBe(Math.floor(Bun.file(image).lastModified / 1000) * 1000);
    source.close();
  });

  test('no coding is asked for, and rdpull says its name', async () => {
    await using server = startWebServer(directory.path);
    await read(`${server.url}/image.raw`);
    expect(server.lastHeaders().get('accept-encoding')).toBe('identity');
    expect(server.lastHeaders().get('user-agent')).toMatch(/^rdpull\/\d+\.\d+\.\d+$/);
    expect(server.lastHeaders().get('authorization')).toBeNull();
  });
});

describe('redirects', () => {
  const redirect =
    (to: (url: URL) => string | undefined): Route =>
    (request) => {
      const location = to(new URL(request.url));
      return location === undefined ? undefined : new Response(null, { status: 302, headers: { location } });
    };

  test('are followed, relative ones too, and the last URL is the one reported', async () => {
    await using server = startWebServer(
      directory.path,
      redirect(({ pathname }) =>
        pathname === '/a' ? '/b?x=1' : pathname === '/b' ? 'image.raw' : undefined,
      ),
    );
    const source = await openSource(`${server.url}/a`, { ca: [], login: undefined, signal: NO_SIGNAL });
    expect(source.url).toBe(`${server.url}/image.raw`);
    source.close();
  });

  test('to a path in UTF-8, which is not escaped, are followed as browsers do', async () => {
    await using server = await startFaultServer((call) =>
      call.send(
        call.number === 0
          ? Buffer.from('HTTP/1.1 302 Found\r\nLocation: /größe.raw\r\nContent-Length: 0\r\n\r\n')
          : 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhere',
      ),
    );
    const source = await openSource(`${server.url}/a`, { ca: [], login: undefined, signal: NO_SIGNAL });
    expect(source.url).toBe(`${server.url}/gr%C3%B6%C3%9Fe.raw`);
    expect(source.size).toBe(4);
    source.close();
  });

  test('in a circle end after ten', async () => {
    await using server = startWebServer(
      directory.path,
      redirect(() => '/again'),
    );
    const { code, message } = await failure(read(`${server.url}/a`));
    expect(code).toBe('http-redirect');
    expect(message).toBe(`${server.url}/a: more than 10 redirects, the last one to ${server.url}/again`);
    expect(server.requests.length).toBe(11);
  });

  test('to another scheme are refused', async () => {
    await using server = startWebServer(
      directory.path,
      redirect(() => 'file:///etc/passwd'),
    );
    const { code, message } = await failure(read(`${server.url}/a`));
    expect(code).toBe('http-redirect');
    expect(message).toBe(
      `${server.url}/a: the server redirects to file:///etc/passwd, which is not an http or https URL`,
    );
  });
});

describe('a login', () => {
  test('goes to its own server, also behind a redirect, and to no other', async () => {
    await using other = startWebServer(directory.path);
    await using server = startWebServer(directory.path, (request) => {
      const { pathname } = new URL(request.url);
      if (request.headers.get('authorization') !== 'Basic dXNlcjpzOmVjcmV0') {
        return new Response(null, { status: 401 });
      }
      if (pathname === '/here') return Response.redirect('/image.raw');
      if (pathname === '/away') return Response.redirect(`${other.url}/image.raw`);
      return undefined;
    });
    const { url, login } = splitLogin(`${server.url.replace('//', '//user:s%3Aecret@')}/here`);
    expect(url).toBe(`${server.url}/here`);
    expect(await read(url, { login })).toBe('the image');
    expect(await read(`${server.url}/away`, { login })).toBe('the image');
    expect(other.lastHeaders().get('authorization')).toBeNull();
  });

  test('is not taken from where the server redirects to', async () => {
    await using other = startWebServer(directory.path);
    await using server = startWebServer(directory.path, () =>
      Response.redirect(`${other.url.replace('//', '//root:root@')}/image.raw`),
    );
    expect(await read(`${server.url}/a`)).toBe('the image');
    expect(other.lastHeaders().get('authorization')).toBeNull();
  });

  test('a URL without one stays as it is', () => {
    for (const url of ['http://host/a@b', 'https://host?u@x', 'file:///a@b', 'raw']) {
      expect(splitLogin(url)).toEqual({ url, login: undefined });
    }
  });
});

describe('what the server answers instead of the file', () => {
  test.each([
    [404, 'http-not-found', '404 Not Found'],
    [410, 'http-not-found', '410 Gone'],
    [401, 'http-unauthorized', '401 Unauthorized'],
    [403, 'http-forbidden', '403 Forbidden'],
    [500, 'http-server-error', '500 Internal Server Error'],
    [503, 'http-server-error', '503 Service Unavailable'],
    [204, 'http-status', '204 No Content'],
    [304, 'http-status', '304 Not Modified'],
    [418, 'http-status', "418 I'm a Teapot"],
  ])('%p is %s', async (status, code, answer) => {
    await using server = startWebServer(directory.path, () => new Response(null, { status }));
    const error = await failure(read(`${server.url}/image.raw`));
    expect(error.code).toBe(code);
    expect(error.message.toLowerCase()).toBe(
      `${server.url}/image.raw: the server answers ${answer}`.toLowerCase(),
    );
    expect(error.hint).not.toBe('');
  });

  test('a missing small file is undefined, for 404 and for the 403 of object stores', async () => {
    for (const status of [404, 403]) {
      await using server = startWebServer(directory.path, () => new Response(null, { status }));
      const options = { ca: [], login: undefined, signal: NO_SIGNAL };
      expect(await fetchSmallFile(`${server.url}/SHA256SUMS`, 100, options)).toBeUndefined();
    }
  });

  test('why there is no small file is told', async () => {
    for (const [status, why] of [
      [404, 'not found'],
      [403, 'forbidden (403)'],
    ] as const) {
      await using server = startWebServer(directory.path, () => new Response('no', { status }));
      const options = { ca: [], login: undefined, signal: NO_SIGNAL };
      const told: string[] = [];
      await fetchSmallFile(`${server.url}/SHA256SUMS`, 100, options, {
        absent: (why) => void told.push(why),
      });
      expect(told).toEqual([why]);
    }
  });

  test('a small file that is not small is refused', async () => {
    await using server = startWebServer(directory.path, () => new Response('x'.repeat(200_000)));
    const options = { ca: [], login: undefined, signal: NO_SIGNAL };
    const error = await failure(fetchSmallFile(`${server.url}/SHA256SUMS`, 100_000, options));
    expect(error.code).toBe('manifest-malformed');
    expect(error.message).toBe(
      `${server.url}/SHA256SUMS is longer than 100000 bytes: it is not a checksum file or a signature`,
    );
  });
});

describe('a network that fails', () => {
  test('the host is unknown', async () => {
    const error = await failure(read('http://no-such-host.invalid/image.raw'));
    expect(error.code).toBe('host-unknown');
    expect(error.message).toBe(
      'http://no-such-host.invalid/image.raw: the name of the host cannot be resolved',
    );
  });

  test('the connection is refused', async () => {
    const error = await failure(read('http://127.0.0.1:9/image.raw'));
    expect(error.code).toBe('connection-refused');
    expect(error.message).toBe('http://127.0.0.1:9/image.raw: the connection was refused');
  });

  test.each([
    ['is closed before the end', (socket: net.Socket) => void socket.destroy()],
    ['is reset before the end', (socket: net.Socket) => void socket.resetAndDestroy()],
  ])('the connection %s', async (_, then) => {
    using server = await rawServer('HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nabc', then);
    expect((await failure(read(server.url))).code).toBe('connection-lost');
  });

  test('chunks stop before the last one', async () => {
    using server = await rawServer(
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n',
      (socket) => void socket.destroy(),
    );
    expect((await failure(read(server.url))).code).toBe('connection-lost');
  });

  test('the server does not speak HTTP', async () => {
    using server = await rawServer('SSH-2.0-OpenSSH_9.2\r\n', (socket) => void socket.end());
    const error = await failure(read(server.url));
    expect(error.code).toBe('http-protocol');
    expect(error.hint).toBe('check that the URL points at a web server, and its port');
  });

  test('the head of the answer has no end', async () => {
    using server = await rawServer(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(100_000)}\r\n\r\n`, () => undefined);
    expect((await failure(read(server.url))).code).toBe('http-protocol');
  });

  test('aborting ends a transfer that hangs', async () => {
    using server = await rawServer('HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nabc', () => undefined);
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 100);
    const begun = performance.now();
    await expect(read(server.url, { signal: controller.signal })).rejects.toThrow();
    expect(performance.now() - begun).toBeLessThan(2_000);
  });
});

describe('https', () => {
  const keys = new TemporaryDirectory();
  const certificate = (name: string, clock: string[] = [], names = 'IP:127.0.0.1') => {
    const files = { key: keys.file(`${name}.key`), cert: keys.file(`${name}.pem`) };
    const subject = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=${names}`];
    const algorithm = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    run([
      ...clock,
      'openssl',
      'req',
      '-x509',
      ...algorithm,
      '-keyout',
      files.key,
      '-out',
      files.cert,
      '-days',
      '30',
      ...subject,
    ]);
    return files;
  };
  const pem = async (files: { key: string; cert: string }) => ({
    key: await Bun.file(files.key).text(),
    cert: await Bun.file(files.cert).text(),
  });
  let good: { key: string; cert: string };
  let expired: { key: string; cert: string };
  let elsewhere: { key: string; cert: string };
  let early: { key: string; cert: string };
  beforeAll(() => {
    good = certificate('good');
    expired = certificate('expired', ['faketime', '2020-01-01']);
    elsewhere = certificate('elsewhere', [], 'DNS:www.example.com');
    early = certificate('early', ['faketime', '2036-01-01']);
  });
  afterAll(() => keys[Symbol.dispose]());

  test('a server with a certificate of the CA that was given', async () => {
    await using server = startWebServer(directory.path, () => undefined, await pem(good));
    expect(await read(`${server.url}/image.raw`, { ca: [good.cert] })).toBe('the image');
  });

  test('is not downgraded to http by a redirect', async () => {
    await using plain = startWebServer(directory.path);
    await using server = startWebServer(
      directory.path,
      () => Response.redirect(`${plain.url}/image.raw`),
      await pem(good),
    );
    const error = await failure(read(`${server.url}/a`, { ca: [good.cert] }));
    expect(error.code).toBe('http-redirect');
    expect(error.message).toContain('from https to plain http, which anybody on the way could answer');
    expect(plain.requests).toEqual([]);
  });

  test.each([
    ['self-signed', () => good, () => expired, 'its certificate is self-signed'],
    ['expired', () => expired, () => expired, 'its certificate has expired'],
    ['not valid yet', () => early, () => early, 'its certificate is not valid yet'],
  ])(
    'a certificate that is %s is refused, with the time of this machine',
    async (_, served, trusted, reason) => {
      await using server = startWebServer(directory.path, () => undefined, await pem(served()));
      const error = await failure(read(`${server.url}/image.raw`, { ca: [trusted().cert] }));
      expect(error.code).toBe('tls-untrusted');
      expect(error.message).toStartWith(`${server.url}/image.raw: the server cannot be trusted: ${reason}`);
      expect(`${error.message} ${error.hint}`).toContain(new Date().toISOString().slice(0, 13));
    },
  );

  test('a certificate for another host is refused', async () => {
    await using server = startWebServer(directory.path, () => undefined, await pem(elsewhere));
    const error = await failure(read(`${server.url}/image.raw`, { ca: [elsewhere.cert] }));
    expect(error.code).toBe('tls-untrusted');
    expect(error.message).toContain('its certificate is for another host name');
  });

  test('a port that speaks only http says so', async () => {
    await using server = startWebServer(directory.path);
    const url = server.url.replace('http:', 'https:');
    const error = await failure(read(`${url}/image.raw`, { ca: [good.cert] }));
    expect(error.code).toBe('tls-failed');
    expect(error.hint).toContain('http://');
  });

  test('a CA file that is missing, or is no certificate, is named', async () => {
    const missing = await failure(read('https://127.0.0.1:9/x', { ca: ['/no/such.pem'] }));
    expect(missing.code).toBe('ca-unusable');
    expect(missing.message).toContain('/no/such.pem cannot be read');
    const empty = await failure(read('https://127.0.0.1:9/x', { ca: [keys.write('x.pem', 'hello')] }));
    expect(empty.message).toBe(
      `${keys.file('x.pem')} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)`,
    );
  });
});
