import { afterAll, describe, expect, test } from 'bun:test';
import net from 'node:net';
import { RdpullError } from '../../src/console/rdpull-error.ts';
import { openSource } from '../../src/source/open-source.ts';
import { type FaultCall, sendFile, startFaultServer } from '../fixtures/fault-server.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { startWebServer } from '../fixtures/web-server.ts';
import { sha256, transferOf } from '../transfer/transfer-run.ts';

const CONTENT = noiseOf(300_000);
const PACKED = run(['xz', '-0', '-c'], { input: CONTENT });
const keys = new TemporaryDirectory();
afterAll(() => keys[Symbol.dispose]());

const answering = (head: string, body: Uint8Array | string = '') =>
  startFaultServer(async (call) => {
    await call.send(`${head}\r\n\r\n`);
    await call.send(body);
    call.end();
  });

describe.concurrent('what a server may say first, and then send the file:', () => {
  test.each([
    [408, 'Request Timeout'],
    [429, 'Too Many Requests'],
    [500, 'Internal Server Error'],
    [501, 'Not Implemented'],
    [502, 'Bad Gateway'],
    [503, 'Service Unavailable'],
    [504, 'Gateway Timeout'],
  ])('%p %s', async (status, words) => {
    await using server = await startFaultServer((call) =>
      call.number === 0
        ? call.send(`HTTP/1.1 ${status} ${words}\r\nContent-Length: 0\r\n\r\n`)
        : sendFile(call, CONTENT),
    );
    const { image, said } = await transferOf(`${server.url}/image.raw`);
    expect(image?.equals(CONTENT)).toBe(true);
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(
      new RegExp(
        `^${server.url}/image.raw: the server answers ${status} ${words}; trying again in 0\\.\\d s$`,
      ),
    );
  });

  test.each([400, 401, 403, 404, 405, 406, 410, 418, 421, 451, 505, 507, 511])(
    'not %p, which ends it at once',
    async (status) => {
      await using server = await answering(`HTTP/1.1 ${status} So What\r\nContent-Length: 0`);
      const { error, said } = await transferOf(`${server.url}/image.raw`);
      expect(error?.message).toBe(`${server.url}/image.raw: the server answers ${status} So What`);
      expect(said).toEqual([]);
      expect(server.requests.length).toBe(1);
    },
  );
});

describe.concurrent('Retry-After', () => {
  const busy = (status: number, headers: string) => async (call: FaultCall) =>
    call.number === 0
      ? call.send(`HTTP/1.1 ${status} Busy\r\n${headers}\r\nContent-Length: 0\r\n\r\n`)
      : sendFile(call, CONTENT);

  test.each([
    ['in seconds', 429, 'Retry-After: 2'],
    ['in seconds', 503, 'Retry-After: 2'],
    // A clock that is wrong by years, as the one of this machine may be: only the difference counts.
    ['as a date', 503, 'Date: Sun, 06 Nov 1994 08:49:35 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:49:37 GMT'],
  ])('%s, of %p, is waited for', async (_, status, headers) => {
    await using server = await startFaultServer(busy(status, headers));
    const begun = performance.now();
    const { image, said } = await transferOf(`${server.url}/image.raw`);
    expect(performance.now() - begun).toBeGreaterThan(1950);
    expect(image?.equals(CONTENT)).toBe(true);
    expect(said[0]).toEndWith('; trying again in 2.0 s');
  });

  test('beyond the patience is waited for as long as that lasts, and then asked a last time', async () => {
    await using server = await startFaultServer(busy(503, 'Retry-After: 100000'));
    const { image } = await transferOf(`${server.url}/image.raw`, { patience: 3000 });
    expect(image?.equals(CONTENT)).toBe(true);
  });

  test('for months is some minutes, also where the patience has no end', async () => {
    await using server = await startFaultServer(busy(503, 'Retry-After: 9999999'));
    const told: number[] = [];
    const giveUp = new AbortController();
    const patience = {
      milliseconds: Number.POSITIVE_INFINITY,
      notify: (_: string, wait: number) => {
        told.push(wait);
        giveUp.abort();
      },
    };
    const options = { ca: [], login: undefined, signal: giveUp.signal, patience };
    const opened = openSource(`${server.url}/image.raw`, options);
    await expect(opened).rejects.toThrow();
    expect(told).toHaveLength(1);
    expect(told[0]).toBeGreaterThan(599_000);
    expect(told[0]).toBeLessThanOrEqual(600_000);
  });

  test.each(['-5', 'soon', '1.5', '99999999999999'])('that is %p counts for nothing', async (value) => {
    await using server = await startFaultServer(busy(503, `Retry-After: ${value}`));
    const { image, said } = await transferOf(`${server.url}/image.raw`);
    expect(image?.equals(CONTENT)).toBe(true);
    expect(said[0]).toMatch(/; trying again in 0\.\d s$/);
  });
});

describe.concurrent('when the patience is over', () => {
  test('the error says how long, how often, why, and how much had arrived', async () => {
    await using server = await startFaultServer((call) =>
      call.number === 0
        ? sendFile(call, CONTENT, { headers: { ETag: '"a"' }, stop: { after: 100_000, by: 'end' } })
        : call.send('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n'),
    );
    const { error } = await transferOf(`${server.url}/image.raw`, { patience: 3000 });
    expect(error?.code).toBe('http-server-error');
    expect(error?.message).toMatch(
      new RegExp(
        `^${server.url}/image.raw: the server answers 503 Service Unavailable; 100000 of 300000 bytes had arrived, gave up after \\d attempts in \\d\\.\\d s without progress$`,
      ),
    );
  });

  test('of 0, the first failure is the last', async () => {
    await using server = await startFaultServer((call) =>
      sendFile(call, CONTENT, { stop: { after: 100_000, by: 'end' } }),
    );
    const { error, said } = await transferOf(`${server.url}/image.raw`, { patience: 0 });
    expect(error?.message).toBe(
      `${server.url}/image.raw: the server closed the connection too early; 100000 of 300000 bytes had arrived`,
    );
    expect(said).toEqual([]);
    expect(server.requests.length).toBe(1);
  });

  test('a server that always stops at the same byte does not keep it for ever', async () => {
    await using server = await startFaultServer((call) =>
      sendFile(call, CONTENT, { ranges: false, stop: { after: 100_000, by: 'end' } }),
    );
    const { error } = await transferOf(`${server.url}/image.raw`, { patience: 1500 });
    expect(error?.code).toBe('connection-lost');
    expect(error?.message).toContain('; 100000 of 300000 bytes had arrived, gave up after');
  });

  test('bytes that arrive renew it, however slowly they come', async () => {
    await using server = await startFaultServer((call) =>
      sendFile(call, CONTENT, {
        headers: { ETag: '"a"' },
        chunk: () => 10_000,
        rate: 100_000,
        stop: { after: 50_000, by: 'end' },
      }),
    );
    const { image, said } = await transferOf(`${server.url}/image.raw`, { patience: 4000 });
    expect(image?.equals(CONTENT)).toBe(true);
    expect(said).toHaveLength(5);
  });
});

describe.concurrent('a length', () => {
  test('that is longer than the body fails, and says how much arrived', async () => {
    await using server = await startFaultServer((call) =>
      sendFile(call, CONTENT, {
        headers: { 'Content-Length': '400000' },
        ranges: false,
        stop: { after: CONTENT.length, by: 'end' },
      }),
    );
    const { error } = await transferOf(`${server.url}/image.raw`, { patience: 0 });
    expect(error?.message).toBe(
      `${server.url}/image.raw: the server closed the connection too early; 300000 of 400000 bytes had arrived`,
    );
  });

  test('that is shorter than the body is all that is read: the image is found to be incomplete', async () => {
    await using server = await startFaultServer((call) =>
      sendFile(call, PACKED, { headers: { 'Content-Length': String(PACKED.length - 1000) } }),
    );
    const { error } = await transferOf(`${server.url}/image.raw.xz`);
    expect(error?.code).toBe('stream-truncated');
  });

  test.each(['Content-Length: 12\r\nContent-Length: 13', 'Content-Length: -1', 'Content-Length: x'])(
    'that makes no sense is refused: %j',
    async (headers) => {
      await using server = await answering(`HTTP/1.1 200 OK\r\n${headers}`, 'twelve bytes');
      const { error } = await transferOf(`${server.url}/image.raw`, { patience: 0 });
      expect(error?.code).toMatch(/^http-(?:protocol|length)$/);
    },
  );

  test('may be missing, and the body in chunks', async () => {
    await using server = await startFaultServer(async (call) => {
      await call.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
      for (let position = 0; position < CONTENT.length; position += 7777) {
        const part = CONTENT.subarray(position, position + 7777);
        await call.send(`${part.length.toString(16)}\r\n`);
        await call.send(part);
        await call.send('\r\n');
      }
      await call.send('0\r\n\r\n');
    });
    expect((await transferOf(`${server.url}/image.raw`)).image?.equals(CONTENT)).toBe(true);
  });

  test('may be missing, and the chunks stop: they are fetched again and compared', async () => {
    await using server = await startFaultServer(async (call) => {
      await call.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
      const end = call.number === 0 ? 200_000 : CONTENT.length;
      await call.send(`${end.toString(16)}\r\n`);
      await call.send(CONTENT.subarray(0, end));
      if (call.number === 0) call.end();
      else await call.send('\r\n0\r\n\r\n');
    });
    const { image, said } = await transferOf(`${server.url}/image.raw`);
    expect(image?.equals(CONTENT)).toBe(true);
    expect(said[0]).toContain('resuming at byte 200000 in 0.');
  });

  test('may be missing as in HTTP/1.0, where the end of the connection is the end of the file', async () => {
    await using server = await answering('HTTP/1.0 200 OK', CONTENT);
    expect((await transferOf(`${server.url}/image.raw`)).image?.equals(CONTENT)).toBe(true);
    await using early = await answering('HTTP/1.0 200 OK', PACKED.subarray(0, 200_000));
    expect((await transferOf(`${early.url}/image.raw.xz`)).error?.code).toBe('stream-truncated');
  });

  test('may be missing, and the connection is reset: that is not the end of the file', async () => {
    await using server = await startFaultServer((call) =>
      sendFile(call, CONTENT, {
        headers: { 'Content-Length': '', Connection: 'close' },
        ranges: false,
        stop: { after: call.number === 0 ? 1000 : CONTENT.length, by: call.number === 0 ? 'reset' : 'end' },
      }),
    );
    const { image, said } = await transferOf(`${server.url}/image.raw`);
    expect(image?.equals(CONTENT)).toBe(true);
    expect(said[0]).toContain('the connection was reset');
    expect(server.requests.length).toBe(2);
  });

  test('may be said in HTTP/1.0: what is missing is fetched again', async () => {
    await using server = await startFaultServer(async (call) => {
      await call.send(`HTTP/1.0 200 OK\r\nContent-Length: ${CONTENT.length}\r\n\r\n`);
      await call.send(call.number === 0 ? CONTENT.subarray(0, 1000) : CONTENT);
      call.end();
    });
    expect((await transferOf(`${server.url}/image.raw`)).image?.equals(CONTENT)).toBe(true);
  });
});

describe('a server that goes too far:', () => {
  test('a coding that was not asked for is refused', async () => {
    const coded = run(['gzip', '-c'], { input: PACKED });
    await using server = await startFaultServer((call) =>
      sendFile(call, coded, { headers: { 'Content-Encoding': 'gzip' } }),
    );
    const { error } = await transferOf(`${server.url}/image.raw.xz`);
    expect(error?.code).toBe('http-protocol');
    expect(error?.message).toBe(
      `${server.url}/image.raw.xz: the server compresses the file on the way (Content-Encoding: gzip), though it was asked not to`,
    );
  });

  test('a coding that is only how the file itself is compressed is none', async () => {
    const coded = run(['gzip', '-c'], { input: CONTENT });
    await using server = await startFaultServer((call) =>
      sendFile(call, coded, { headers: { 'Content-Encoding': 'x-gzip' } }),
    );
    expect((await transferOf(`${server.url}/image.raw.gz`)).image?.equals(CONTENT)).toBe(true);
  });

  test.each(['None', 'UTF-8', 'aws-chunked', 'binary', 'identity, none', 'gzip'])(
    'a coding that the body is not in is none: %j',
    async (coding) => {
      await using server = await startFaultServer((call) =>
        sendFile(call, PACKED, { headers: { 'Content-Encoding': coding } }),
      );
      expect((await transferOf(`${server.url}/image.raw.xz`)).image?.equals(CONTENT)).toBe(true);
    },
  );

  test('where a digest is promised, it says which bytes are the file', async () => {
    const coded = run(['gzip', '-c'], { input: CONTENT });
    await using server = await startFaultServer((call) =>
      sendFile(call, coded, { headers: { 'Content-Encoding': 'gzip' } }),
    );
    const promised = { kind: 'sha256', digest: sha256(coded) } as const;
    const { image } = await transferOf(`${server.url}/stored`, { verify: promised });
    expect(image?.equals(CONTENT)).toBe(true);
    const { error } = await transferOf(`${server.url}/stored`, {
      verify: { kind: 'sha256', digest: sha256(CONTENT) },
    });
    expect(error?.code).toBe('checksum-mismatch');
  });

  test('the name that was asked for says how a file is packed, whatever it is redirected to', async () => {
    const coded = run(['gzip', '-c'], { input: CONTENT });
    await using server = await startFaultServer((call) =>
      call.path.endsWith('.gz')
        ? call.send('HTTP/1.1 302 Found\r\nLocation: /objects/1\r\nContent-Length: 0\r\n\r\n')
        : sendFile(call, coded, { headers: { 'Content-Encoding': 'gzip' } }),
    );
    expect((await transferOf(`${server.url}/image.raw.gz`)).image?.equals(CONTENT)).toBe(true);
  });

  test('203, from a proxy that may have changed it, is taken like 200', async () => {
    await using server = await answering(
      `HTTP/1.1 203 Non-Authoritative Information\r\nContent-Length: ${CONTENT.length}`,
      CONTENT,
    );
    expect((await transferOf(`${server.url}/image.raw`)).image?.equals(CONTENT)).toBe(true);
  });

  test('a body without end ends with the image', async () => {
    await using server = await startFaultServer(async (call) => {
      await call.send('HTTP/1.1 200 OK\r\n\r\n');
      await call.send(PACKED);
      for (;;) await call.send(noiseOf(65_536, 1));
    });
    const { error, said } = await transferOf(`${server.url}/image.raw.xz`);
    expect(error?.code).toBe('stream-trailing-data');
    expect(said).toEqual([]);
  });

  test('redirects without end are counted', async () => {
    await using server = await startFaultServer((call) =>
      call.send(`HTTP/1.1 302 Found\r\nLocation: /${call.number}\r\nContent-Length: 0\r\n\r\n`),
    );
    const { error } = await transferOf(`${server.url}/image.raw`);
    expect(error?.code).toBe('http-redirect');
    expect(server.requests.length).toBe(11);
  });

  test('a head of 1 MiB is not read', async () => {
    await using server = await answering(`HTTP/1.1 200 OK\r\nX: ${'y'.repeat(1024 * 1024)}`, CONTENT);
    const { error } = await transferOf(`${server.url}/image.raw`);
    expect(error?.code).toBe('http-protocol');
    expect(error?.message).toContain('the head of the answer is longer than 16 KiB');
  });
});

describe.concurrent('a server that cannot be reached', () => {
  test('is waited for', async () => {
    await using server = await startFaultServer((call) => sendFile(call, CONTENT));
    await server.pause();
    const transfer = transferOf(`${server.url}/image.raw`);
    await Bun.sleep(800);
    await server.resume();
    const { image, said } = await transfer;
    expect(image?.equals(CONTENT)).toBe(true);
    expect(said[0]).toContain('/image.raw: the connection was refused; trying again in 0.');
  });

  test('in the middle of the file is waited for', async () => {
    await using server = await startFaultServer((call) =>
      sendFile(call, CONTENT, {
        headers: { ETag: '"a"' },
        ...(call.number === 0 && { stop: { after: 100_000, by: 'stall' } }),
      }),
    );
    const transfer = transferOf(`${server.url}/image.raw`, { silence: 20_000 });
    while (server.sent() < 100_000) await Bun.sleep(10);
    await Bun.sleep(100);
    await server.pause();
    await Bun.sleep(800);
    await server.resume();
    const { image, said } = await transfer;
    expect(image?.equals(CONTENT)).toBe(true);
    expect(said[0]).toContain('; resuming at byte 100000 of 300000 in 0.');
    expect(said[1]).toContain('the connection was refused; resuming at byte 100000 of 300000 in ');
    expect(server.sent()).toBe(CONTENT.length);
  });

  test('by its name is looked up again', async () => {
    const { error, said } = await transferOf('http://no-such-host.invalid/image.raw', { patience: 4000 });
    expect(said[0]).toContain('the name of the host cannot be resolved; trying again in 0.');
    expect(error?.code).toBe('host-unknown');
    expect(error?.message).toMatch(/gave up after \d attempts in \d\.\d s without progress$/);
  });

  test('because it does not answer is asked again', async () => {
    await using server = await startFaultServer((call) =>
      call.number === 0 ? call.closed : sendFile(call, CONTENT),
    );
    const { image, said } = await transferOf(`${server.url}/image.raw`, { silence: 3000 });
    expect(image?.equals(CONTENT)).toBe(true);
    expect(said[0]).toContain('the server does not answer; trying again');
  });

  test('over TLS, because the handshake fails, is asked again', async () => {
    const [key, cert] = [keys.file('key.pem'), keys.file('cert.pem')];
    run(
      `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ${key} -out ${cert} -subj /CN=x -addext subjectAltName=IP:127.0.0.1`.split(
        ' ',
      ),
    );
    keys.write('image.raw', 'here');
    await using behind = startWebServer(keys.path, () => undefined, {
      key: await Bun.file(key).text(),
      cert: await Bun.file(cert).text(),
    });
    const INTERNAL_ERROR = Buffer.from([21, 3, 3, 0, 2, 2, 80]);
    let connections = 0;
    const front = net.createServer((socket) => {
      socket.on('error', () => undefined);
      connections++;
      if (connections === 1) socket.once('data', () => socket.end(INTERNAL_ERROR));
      else if (connections === 2) socket.once('data', () => socket.destroy());
      else {
        const further = net.connect(Number(new URL(behind.url).port), '127.0.0.1');
        further.on('error', () => undefined);
        socket.pipe(further).pipe(socket);
      }
    });
    await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
    try {
      const address = front.address();
      const port = typeof address === 'object' ? address?.port : undefined;
      const said: string[] = [];
      const source = await openSource(`https://127.0.0.1:${port}/image.raw`, {
        ca: [cert],
        login: undefined,
        signal: new AbortController().signal,
        patience: { milliseconds: 20_000, notify: (text) => void said.push(text) },
      });
      source.close();
      expect(source.size).toBe(4);
      expect(said).toHaveLength(2);
      expect(said[0]).toContain('no secure connection could be made (ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR)');
      expect(said[1]).toContain('the connection was reset; trying again');
    } finally {
      front.close();
    }
  });

  test('over TLS, because it speaks plain http, is not asked again', async () => {
    await using server = startWebServer(keys.path);
    const failure = openSource(`${server.url.replace('http:', 'https:')}/image.raw`, {
      ca: [keys.file('cert.pem')],
      login: undefined,
      signal: new AbortController().signal,
      patience: { milliseconds: 60_000, notify: (text) => expect(text).toBe('') },
    });
    await expect(failure).rejects.toBeInstanceOf(RdpullError);
  });
});
