import { describe, expect, test } from 'bun:test';
import {
  openPinnedSource,
  type PinnedSource,
  type PinOptions,
} from '../../../src/on-demand/fetch/pinned-source.ts';
import { type FaultCall, type FaultServer, sendFile, startFaultServer } from '../../fixtures/fault-server.ts';
import { startNginx } from '../../fixtures/nginx.ts';
import { noiseOf } from '../../fixtures/noise.ts';
import { RdpullServe } from '../../fixtures/rdpull-serve.ts';
import { TemporaryDirectory } from '../../fixtures/temporary-directory.ts';
import { failureOf } from '../../source/reading.ts';

const CONTENT = noiseOf(1_000_000);
const ONE = { ETag: '"one"' };
const DATED = { 'Last-Modified': 'Sat, 28 Nov 2026 10:00:00 GMT' };

function optionsFor(
  said: string[] = [],
  changes: Partial<PinOptions> & { readonly wait?: number } = {},
): PinOptions {
  const { wait = 5000, ...rest } = changes;
  return {
    ca: [],
    login: undefined,
    signal: new AbortController().signal,
    warn: (text) => said.push(text),
    patience: { milliseconds: wait, notify: (text) => said.push(text) },
    ...rest,
  };
}

const at = (...urls: string[]) => urls.map((url) => ({ url, login: undefined }));
const urlOf = (server: FaultServer) => `${server.url}/image.raw`;

async function pin(urls: readonly string[], options: PinOptions): Promise<PinnedSource> {
  const result = await openPinnedSource(at(...urls), options);
  if (result.kind === 'whole') throw new Error(`it ${result.reason}`);
  return result.source;
}

async function reasonOf(answer: (call: FaultCall) => Promise<void>, content = '/image.raw'): Promise<string> {
  await using server = await startFaultServer(answer);
  const result = await openPinnedSource(at(server.url + content), optionsFor());
  return result.kind === 'whole' ? result.reason : 'it can be read in parts';
}

async function expectPart(source: PinnedSource, offset: number, length: number): Promise<void> {
  const part = await source.read(offset, length);
  expect(CONTENT.subarray(offset, offset + length).equals(part)).toBe(true);
}

describe.concurrent('a file is read in parts', () => {
  test('whose first bytes are not asked for again, with the validator in each request', async () => {
    await using server = await startFaultServer((call) => sendFile(call, CONTENT, { headers: ONE }));
    using source = await pin([urlOf(server)], optionsFor());
    expect(source.size).toBe(CONTENT.length);
    expect(CONTENT.subarray(0, 131_072).equals(source.start)).toBe(true);
    await expectPart(source, 100, 1000);
    await expectPart(source, 131_000, 1000);
    await expectPart(source, 999_999, 1);
    const ranges = server.requests.map((head) => /^range: (.*)\r$/im.exec(head)?.[1]);
    expect(ranges).toEqual(['bytes=0-131071', 'bytes=131072-131999', 'bytes=999999-999999']);
    expect(server.requests.slice(1).every((head) => /^if-range: "one"\r$/im.test(head))).toBe(true);
    expect(source.fetched).toBe(131_072 + 928 + 1);
    expect(source.requests).toBe(3);
    expect(server.connections()).toBe(1);
  });

  test('from nginx and from rdpull serve', async () => {
    using directory = new TemporaryDirectory();
    directory.write('image.raw', CONTENT);
    await using nginx = await startNginx(directory.path);
    await using serve = await RdpullServe.start(directory.path);
    for (const url of [`${nginx.url}/image.raw`, serve.url('image.raw')]) {
      const said: string[] = [];
      using source = await pin([url], optionsFor(said));
      await expectPart(source, 500_000, 400_000);
      expect(said).toEqual([]);
    }
  });

  test('after redirects, which are followed again when what they had led to is gone', async () => {
    let target = '/first.raw';
    await using server = await startFaultServer((call) => {
      if (call.path === '/image.raw')
        return call.send(`HTTP/1.1 302 Found\r\nLocation: ${target}\r\nContent-Length: 0\r\n\r\n`);
      if (call.path === target) return sendFile(call, CONTENT, { headers: ONE });
      return call.send('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n');
    });
    using source = await pin([urlOf(server)], optionsFor());
    await expectPart(source, 200_000, 1000);
    expect(server.requests.length).toBe(3);
    target = '/second.raw';
    await expectPart(source, 300_000, 1000);
    expect(server.requests.at(-1)).toStartWith('GET /second.raw ');
  });

  test('of a server without a strong ETag, by its size and its date, which is said once', async () => {
    const said: string[] = [];
    await using server = await startFaultServer((call) => sendFile(call, CONTENT, { headers: DATED }));
    using source = await pin([urlOf(server)], optionsFor(said));
    await expectPart(source, 200_000, 1000);
    await expectPart(source, 300_000, 1000);
    expect(said).toEqual([
      `${urlOf(server)}: the server sends no ETag that could be relied on: its size and its date alone tell whether the image is still the same`,
    ]);
  });
});

describe.concurrent('it can only be downloaded as a whole, and why', () => {
  test('no ranges', async () => {
    expect(await reasonOf((call) => sendFile(call, CONTENT, { ranges: false }))).toBe(
      'comes from a server that sends no parts of files',
    );
  });
  test('no length', async () => {
    const headers = { ...ONE, 'Content-Range': 'bytes 0-131071/*' };
    expect(await reasonOf((call) => sendFile(call, CONTENT, { headers }))).toBe(
      'comes from a server that does not say how long it is',
    );
  });
  test('a content-coding', async () => {
    const headers = { ...ONE, 'Content-Encoding': 'gzip' };
    expect(await reasonOf((call) => sendFile(call, CONTENT, { headers }))).toBe(
      'comes from a server that compresses it on the way, or says so (Content-Encoding: gzip)',
    );
  });
  test('nothing that tells when it changes', async () => {
    expect(await reasonOf((call) => sendFile(call, CONTENT))).toStartWith(
      'comes from a server that does not say whether it has changed',
    );
  });
  test('another part than was asked for', async () => {
    const headers = { ...ONE, 'Content-Range': 'bytes 5-131076/1000000' };
    expect(await reasonOf((call) => sendFile(call, CONTENT, { headers }))).toStartWith(
      'comes from a server that sends parts of files wrongly',
    );
  });
  test('it is small, or empty', async () => {
    const small = CONTENT.subarray(0, 131_072);
    expect(await reasonOf((call) => sendFile(call, small, { headers: ONE }))).toBe(
      'has 128 KiB, which one request brings',
    );
    expect(await reasonOf((call) => sendFile(call, new Uint8Array(0), { headers: ONE }))).toEndWith(
      'or is empty',
    );
  });
  test('it is here', async () => {
    const result = await openPinnedSource(at('file:///image.raw'), optionsFor());
    expect(result).toMatchObject({ kind: 'whole', reason: 'is on this machine already' });
  });
});

describe.concurrent('an image that was replaced', () => {
  const replaced = (before: Record<string, string>, after: Record<string, string>, content = CONTENT) =>
    startFaultServer((call) =>
      call.number === 0
        ? sendFile(call, CONTENT, { headers: before })
        : sendFile(call, content, { headers: after }),
    );

  test.each([
    [ONE, { ETag: '"two"' }, CONTENT, 'it has another ETag now'],
    [ONE, ONE, CONTENT.subarray(1), 'it has 999999 bytes now, and had 1000000'],
    // Made twice within a second, or with the date of its sources.
    [
      { ETag: 'W/"one"', ...DATED },
      { ETag: 'W/"two"', ...DATED },
      CONTENT,
      'it has another ETag or date now, or none',
    ],
    [DATED, { 'Last-Modified': 'Sat, 28 Nov 2026 11:00:00 GMT' }, CONTENT, 'it has another date now'],
  ])('is never mixed: %p, %p', async (before, after, content, how) => {
    await using server = await replaced(before, after, content);
    using source = await pin([urlOf(server)], optionsFor());
    expect(await failureOf(source.read(500_000, 1000))).toMatchObject({
      code: 'http-changed',
      message: `${urlOf(server)}: this is not the image any more that was opened: ${how}`,
    });
    expect(server.requests.length).toBe(3);
  });

  test('also where only the part that was asked for lies beyond its end', async () => {
    await using server = await replaced(ONE, ONE, CONTENT.subarray(0, 400_000));
    using source = await pin([urlOf(server)], optionsFor());
    expect(await failureOf(source.read(500_000, 1000))).toMatchObject({ code: 'http-changed' });
  });

  test('of several machines behind one name, one may be behind', async () => {
    await using server = await startFaultServer((call) =>
      sendFile(call, CONTENT, { headers: call.number === 1 ? { ETag: '"old"' } : ONE }),
    );
    using source = await pin([urlOf(server)], optionsFor());
    await expectPart(source, 500_000, 1000);
  });

  test('is read on when it is put back', async () => {
    let tag = ONE;
    await using server = await startFaultServer((call) => sendFile(call, CONTENT, { headers: tag }));
    using source = await pin([urlOf(server)], optionsFor([], { wait: Number.POSITIVE_INFINITY }));
    tag = { ETag: '"two"' };
    expect(await failureOf(source.read(500_000, 1000))).toMatchObject({ code: 'http-changed' });
    tag = ONE;
    await expectPart(source, 500_000, 1000);
  });
});

describe.concurrent('a server that fails', () => {
  test('loses a hundred connections: nothing is fetched twice, and nobody waits', async () => {
    const content = noiseOf(131_072 + 101 * 17_000, 1);
    await using server = await startFaultServer((call) =>
      sendFile(call, content, {
        headers: ONE,
        chunk: () => 17_000,
        ...(call.number > 0 && {
          stop: { after: 17_000, by: call.number % 2 === 0 ? 'reset' : 'end' } as const,
        }),
      }),
    );
    const said: string[] = [];
    using source = await pin([urlOf(server)], optionsFor(said));
    const begun = performance.now();
    const read = await source.read(131_072, content.length - 131_072);
    expect(content.subarray(131_072).equals(read)).toBe(true);
    // A hundred of the shortest pauses are 37 s.
    expect(performance.now() - begun).toBeLessThan(20_000);
    expect(server.connections()).toBeGreaterThan(100);
    expect(source.fetched).toBe(content.length);
    expect(said).toEqual([]);
  });

  test('is waited for by all readers together, for as long as it takes', async () => {
    const said: string[] = [];
    await using server = await startFaultServer((call) => sendFile(call, CONTENT, { headers: ONE }));
    using source = await pin([urlOf(server)], optionsFor(said, { wait: Number.POSITIVE_INFINITY }));
    await server.pause();
    const reads = [200_000, 400_000, 600_000, 800_000].map((offset) => expectPart(source, offset, 1000));
    await Bun.sleep(1500);
    await server.resume();
    await Promise.all(reads);
    // One line for each time that was waited, and not one for each reader.
    expect(said.length).toBeLessThan(4);
    expect(said[0]).toMatch(/: the connection was refused; reads wait; trying again in 0\.\d s$/);
  });

  test('and has no such file for a while is waited for where there is no end of patience, and else not', async () => {
    let isThere = true;
    await using server = await startFaultServer((call) =>
      isThere
        ? sendFile(call, CONTENT, { headers: ONE })
        : call.send('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n'),
    );
    let milliseconds = 5000;
    const patience = {
      get milliseconds() {
        return milliseconds;
      },
      notify: () => undefined,
    };
    using source = await pin([urlOf(server)], optionsFor([], { patience }));
    isThere = false;
    expect(await failureOf(source.read(500_000, 1000))).toMatchObject({ code: 'http-not-found' });
    milliseconds = Number.POSITIVE_INFINITY;
    const read = expectPart(source, 500_000, 1000);
    await Bun.sleep(700);
    isThere = true;
    await read;
  });

  test('that answers with whole files, wrong parts and 503 meanwhile', async () => {
    const faults = [
      (call: FaultCall) => sendFile(call, CONTENT, { headers: ONE, ranges: false }),
      (call: FaultCall) =>
        sendFile(call, CONTENT, { headers: { ...ONE, 'Content-Range': 'bytes 1-1000/1000000' } }),
      (call: FaultCall) =>
        call.send('HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n'),
      (call: FaultCall) =>
        call.send(
          'HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */1000000\r\nContent-Length: 0\r\n\r\n',
        ),
    ];
    await using server = await startFaultServer((call) => {
      const fault = call.number % 2 === 1 ? faults[(call.number - 1) / 2] : undefined;
      return fault === undefined ? sendFile(call, CONTENT, { headers: ONE }) : fault(call);
    });
    using source = await pin([urlOf(server)], optionsFor());
    for (let read = 0; read < faults.length; read++) await expectPart(source, 500_000 + read * 2000, 1000);
    expect(server.requests.length).toBe(1 + 2 * faults.length);
  });
});

describe.concurrent('mirrors', () => {
  test('with the same strong ETag go on where one is gone', async () => {
    const second = await startFaultServer((call) => sendFile(call, CONTENT, { headers: ONE }));
    await using server = await startFaultServer((call) => sendFile(call, CONTENT, { headers: ONE }));
    await using mirror = second;
    using source = await pin([urlOf(server), urlOf(mirror)], optionsFor());
    await server.pause();
    await expectPart(source, 500_000, 1000);
    expect(mirror.requests.length).toBe(1);
  });

  test('with another one are not joined, and the first is waited for', async () => {
    await using server = await startFaultServer((call) => sendFile(call, CONTENT, { headers: ONE }));
    await using mirror = await startFaultServer((call) =>
      sendFile(call, noiseOf(CONTENT.length, 2), { headers: { ETag: '"two"' } }),
    );
    const said: string[] = [];
    using source = await pin(
      [urlOf(server), urlOf(mirror)],
      optionsFor(said, { wait: Number.POSITIVE_INFINITY }),
    );
    await server.pause();
    const read = expectPart(source, 500_000, 1000);
    const isTold = () =>
      said.some((line) => line.includes('this mirror has another image: it has another ETag now'));
    while (!isTold()) await Bun.sleep(20);
    await server.resume();
    await read;
    expect(mirror.requests.length).toBeGreaterThan(1);
  });

  test('are only asked where something tells that they have the same', async () => {
    await using server = await startFaultServer((call) => sendFile(call, CONTENT, { headers: DATED }));
    await using mirror = await startFaultServer((call) => sendFile(call, CONTENT, { headers: DATED }));
    const said: string[] = [];
    using source = await pin([urlOf(server), urlOf(mirror)], optionsFor(said, { wait: 200 }));
    expect(said.at(-1)).toBe(
      `${urlOf(server)}: without a strong ETag no mirror can be told to have the same image: none is asked`,
    );
    await server.pause();
    expect(await failureOf(source.read(500_000, 1000))).toMatchObject({ code: 'connection-refused' });
    expect(mirror.requests.length).toBe(0);
  });

  test('of a promised image may have other names for it', async () => {
    await using server = await startFaultServer((call) => sendFile(call, CONTENT, { headers: ONE }));
    await using mirror = await startFaultServer((call) =>
      sendFile(call, CONTENT, { headers: { ETag: '"two"' } }),
    );
    using source = await pin([urlOf(server), urlOf(mirror)], optionsFor([], { isPromised: true }));
    await server.pause();
    await expectPart(source, 500_000, 1000);
  });
});
