import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type FaultCall, type FaultServer, sendFile, startFaultServer } from '../fixtures/fault-server.ts';
import { GpgHome } from '../fixtures/gpg.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { sha256, transferOf } from '../transfer/transfer-run.ts';

const CONTENT = noiseOf(300_000);
const OTHER = Buffer.from(CONTENT);
OTHER[0] = (OTHER[0] ?? 0) ^ 0xff;
const STOP = 200_000;
/** Differs from the original only behind the place where the first server stops. */
const SPOILT = Buffer.from(CONTENT);
SPOILT[STOP + 1] = (SPOILT[STOP + 1] ?? 0) ^ 0xff;

const VERIFY = { kind: 'sha256', digest: sha256(CONTENT) } as const;
const ONE = { ETag: '"one"' };
const TWO = { ETag: '"two"' };

/** Sends the beginning once, and fails from then on. */
const dying =
  (headers: Record<string, string> = {}, by: 'end' | 'stall' = 'end', content = CONTENT) =>
  (call: FaultCall) =>
    call.number === 0
      ? sendFile(call, content, { headers, stop: { after: STOP, by } })
      : call.send('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n');

const serving =
  (content: Uint8Array, headers: Record<string, string> = {}, ranges = true) =>
  (call: FaultCall) =>
    sendFile(call, content, { headers, ranges });

const missing = (call: FaultCall) => call.send('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n');

const rangeOf = (server: FaultServer, request: number) =>
  /^range: (.*)\r$/im.exec(server.requests[request] ?? '')?.[1];

const urlOf = (server: FaultServer) => `${server.url}/image.raw`;

describe.concurrent('the next mirror is asked', () => {
  test('at once when one cannot be reached, and it is said', async () => {
    await using second = await startFaultServer(serving(CONTENT));
    const { image, said } = await transferOf(['http://127.0.0.1:9/image.raw', urlOf(second)]);
    expect(image?.equals(CONTENT)).toBe(true);
    expect(said).toEqual([
      `http://127.0.0.1:9/image.raw: the connection was refused; trying again from ${urlOf(second)}`,
    ]);
  });

  test('when one has no such file, also without any patience', async () => {
    await using first = await startFaultServer(missing);
    await using second = await startFaultServer(serving(CONTENT));
    const { image, said } = await transferOf([urlOf(first), urlOf(second)], { patience: 0 });
    expect(image?.equals(CONTENT)).toBe(true);
    expect(said).toEqual([
      `${urlOf(first)}: the server answers 404 Not Found; trying again from ${urlOf(second)}`,
    ]);
    expect(first.requests.length).toBe(1);
  });

  test('round after round, but no more where there is no such file', async () => {
    await using first = await startFaultServer(missing);
    await using second = await startFaultServer((call) =>
      call.number < 2
        ? call.send('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n')
        : sendFile(call, CONTENT),
    );
    const { image } = await transferOf([urlOf(first), urlOf(second), 'http://127.0.0.1:9/image.raw']);
    expect(image?.equals(CONTENT)).toBe(true);
    expect(first.requests.length).toBe(1);
    expect(second.requests.length).toBe(3);
  });

  test('while one wants to be left alone', async () => {
    await using first = await startFaultServer((call) =>
      call.number === 0
        ? sendFile(call, CONTENT, { headers: ONE, stop: { after: STOP, by: 'end' } })
        : call.send('HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n'),
    );
    await using second = await startFaultServer((call) =>
      call.number === 0
        ? call.send('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n')
        : sendFile(call, CONTENT, { headers: ONE }),
    );
    const { image } = await transferOf([urlOf(first), urlOf(second)], { patience: 60_000 });
    expect(image?.equals(CONTENT)).toBe(true);
    expect(first.requests.length).toBe(2);
  });

  test('and when none helps, the error lists each with its cause', async () => {
    await using first = await startFaultServer(missing);
    const { error } = await transferOf([urlOf(first), 'http://127.0.0.1:9/image.raw'], { patience: 4000 });
    expect(error?.code).toBe('http-not-found');
    expect(error?.message).toMatch(
      new RegExp(
        `^none of 2 mirrors helps: ${urlOf(first)}: the server answers 404 Not Found; http://127.0.0.1:9/image.raw: the connection was refused; gave up after \\d attempts in \\d\\.\\d s without progress$`,
      ),
    );
  });
});

describe.concurrent('a download goes on at another mirror', () => {
  test('with what is missing, when both say the same strong ETag', async () => {
    await using first = await startFaultServer(dying(ONE));
    await using second = await startFaultServer(serving(CONTENT, ONE));
    const { image, said } = await transferOf([urlOf(first), urlOf(second)]);
    expect(image?.equals(CONTENT)).toBe(true);
    expect(rangeOf(second, 0)).toBe(`bytes=${STOP}-`);
    expect(second.sent()).toBe(CONTENT.length - STOP);
    expect(said.at(-1)).toEndWith(`; resuming at byte ${STOP} of ${CONTENT.length} from ${urlOf(second)}`);
  });

  test('with what is missing, when a digest is expected', async () => {
    await using first = await startFaultServer(dying(ONE));
    await using second = await startFaultServer(serving(CONTENT, TWO));
    const { image } = await transferOf([urlOf(first), urlOf(second)], { verify: VERIFY });
    expect(image?.equals(CONTENT)).toBe(true);
    expect(second.sent()).toBe(CONTENT.length - STOP);
  });

  test.each([
    ['other ETags', ONE, TWO],
    ['weak ETags', { ETag: 'W/"1"' }, { ETag: 'W/"1"' }],
    ['no ETag', {}, {}],
  ])('with the whole, compared, when they say %s', async (_, one, two) => {
    await using first = await startFaultServer(dying(one));
    await using second = await startFaultServer(serving(CONTENT, two));
    const { image } = await transferOf([urlOf(first), urlOf(second)]);
    expect(image?.equals(CONTENT)).toBe(true);
    expect(second.sent()).toBe(CONTENT.length);
  });

  test('but not with another file: it comes from one of them, whole', async () => {
    await using first = await startFaultServer(dying(ONE));
    await using second = await startFaultServer(serving(OTHER, TWO));
    const { image, said } = await transferOf([urlOf(first), urlOf(second)]);
    expect(image?.equals(OTHER)).toBe(true);
    expect(said.join('\n')).toContain(
      `${urlOf(second)}: this is not the file that the download began with: its first ${STOP} bytes`,
    );
  });

  test('but not with one of another length, and the first gets another chance', async () => {
    await using first = await startFaultServer((call) =>
      call.number === 0 || call.number > 2
        ? sendFile(call, CONTENT, {
            headers: ONE,
            ...(call.number === 0 && { stop: { after: STOP, by: 'end' } }),
          })
        : call.send('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n'),
    );
    await using second = await startFaultServer(serving(CONTENT.subarray(1), TWO));
    const { image, said } = await transferOf([urlOf(first), urlOf(second)]);
    expect(image?.equals(CONTENT)).toBe(true);
    expect(said.join('\n')).toContain(
      `${urlOf(second)}: this is not the file that the download began with: it has ${CONTENT.length - 1} bytes now, and had ${CONTENT.length}`,
    );
    expect(first.sent()).toBe(CONTENT.length);
  });
});

describe.concurrent('a mirror with a bad file', () => {
  test('is left out, and the file comes from another one', async () => {
    await using first = await startFaultServer(serving(OTHER));
    await using second = await startFaultServer(serving(CONTENT));
    const { image, said } = await transferOf([urlOf(first), urlOf(second)], { verify: VERIFY });
    expect(image?.equals(CONTENT)).toBe(true);
    expect(said).toHaveLength(1);
    expect(said[0]).toContain(`${urlOf(first)} is not what was promised`);
    expect(said[0]).toEndWith(`; starting over without ${urlOf(first)}`);
  });

  test('that is damaged in its compression is left out, also without verification', async () => {
    const packed = run(['xz', '-0', '-c'], { input: CONTENT });
    const damaged = Buffer.from(packed);
    damaged.fill(0xff, 150_000, 150_100);
    await using first = await startFaultServer(serving(damaged));
    await using second = await startFaultServer(serving(packed));
    const { image } = await transferOf([urlOf(first), urlOf(second)]);
    expect(image?.equals(CONTENT)).toBe(true);
  });

  test('that was joined with a good one is told from it', async () => {
    for (const headers of [{}, ONE]) {
      await using first = await startFaultServer((call) =>
        sendFile(call, CONTENT, {
          headers,
          ...(call.number === 0 && { stop: { after: STOP, by: 'end' } }),
          ...(call.number > 0 && call.number < 3 && { headers: { ...headers, 'Content-Length': 'x' } }),
        }),
      );
      await using second = await startFaultServer(serving(SPOILT, headers));
      const { image, said } = await transferOf([urlOf(first), urlOf(second)], { verify: VERIFY });
      expect(image?.equals(CONTENT)).toBe(true);
      expect(said.join('\n')).toContain('starting over, because it was joined from several answers');
    }
  });

  test('and no good one beside it: the error lists each', async () => {
    await using first = await startFaultServer(serving(OTHER));
    await using second = await startFaultServer(serving(SPOILT));
    await using third = await startFaultServer(missing);
    const { error } = await transferOf([first, second, third].map(urlOf), { verify: VERIFY, patience: 500 });
    expect(error?.message).toStartWith(`no mirror has a good file: ${urlOf(first)} is not what was promised`);
    expect(error?.message).toContain(`${urlOf(second)} is not what was promised`);
  });
});

describe('checksum file and signature', () => {
  const gpg = new GpgHome();
  const directory = new TemporaryDirectory();
  let keyring: string;
  let manifest: Buffer;
  let signature: Buffer;
  afterAll(() => {
    gpg[Symbol.dispose]();
    directory[Symbol.dispose]();
  });
  beforeAll(() => {
    manifest = Buffer.from(`${sha256(CONTENT)}  image.raw\n`);
    const key = gpg.generateKey('Image Builder <builder@example.com>');
    keyring = directory.write('keyring.pgp', gpg.exportKeys([key]));
    signature = Buffer.from(gpg.sign(manifest, { by: key, armor: false }));
  });

  /** A server with some of the three files. */
  const site = (files: Readonly<Record<string, Uint8Array>>) =>
    startFaultServer((call) => {
      const file = files[call.path.slice(1)];
      return file === undefined ? missing(call) : sendFile(call, file);
    });
  const signed = () => ({ verify: { kind: 'signature' }, keyrings: [keyring] }) as const;
  const all = () => ({ 'image.raw': CONTENT, SHA256SUMS: manifest, 'SHA256SUMS.gpg': signature });

  test('may lie on another mirror than the file', async () => {
    await using first = await site({ 'image.raw': CONTENT });
    await using second = await site({ SHA256SUMS: manifest, 'SHA256SUMS.gpg': signature });
    const { image, result } = await transferOf([urlOf(first), urlOf(second)], signed());
    expect(image?.equals(CONTENT)).toBe(true);
    expect(result?.promised?.manifestUrl).toBe(`${second.url}/SHA256SUMS`);
    expect(result?.url).toBe(urlOf(first));
  });

  test('belong together: a signature on one mirror does not count for a checksum file on another', async () => {
    await using first = await site({ 'image.raw': CONTENT, SHA256SUMS: manifest });
    await using second = await site({ 'image.raw': CONTENT, 'SHA256SUMS.gpg': signature });
    const { error } = await transferOf([urlOf(first), urlOf(second)], signed());
    expect(error?.code).toBe('signature-missing');
    expect(error?.message).toContain(`nobody has signed the checksums of ${urlOf(first)}`);
    expect(error?.message).toContain(`there is no checksum file for ${urlOf(second)}`);
  });

  test('that are bad on one mirror are asked from the next, and its file then has to fit', async () => {
    const forged = Buffer.from(`${sha256(OTHER)}  image.raw\n`);
    await using first = await site({ ...all(), 'image.raw': OTHER, SHA256SUMS: forged });
    await using second = await site(all());
    const { image, said } = await transferOf([urlOf(first), urlOf(second)], signed());
    expect(image?.equals(CONTENT)).toBe(true);
    expect(said.at(-1)).toEndWith(`starting over without ${urlOf(first)}`);
  });

  test('that are missing everywhere let nothing in', async () => {
    await using first = await site({ 'image.raw': CONTENT });
    await using second = await site({ 'image.raw': CONTENT });
    const { error } = await transferOf([urlOf(first), urlOf(second)], signed());
    expect(error?.code).toBe('manifest-missing');
    for (const { requests } of [first, second]) {
      expect(requests.some((head) => head.startsWith('GET /image.raw '))).toBe(false);
    }
  });

  test('of a failing server are waited for', async () => {
    await using server = await startFaultServer((call) =>
      call.number < 3
        ? call.send('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n')
        : sendFile(call, call.path === '/image.raw.sha256' ? manifest : CONTENT),
    );
    const { image } = await transferOf(urlOf(server), { verify: { kind: 'checksum' } });
    expect(image?.equals(CONTENT)).toBe(true);
  });
});
