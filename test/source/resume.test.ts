import { describe, expect, test } from 'bun:test';
import { type FaultCall, sendFile, startFaultServer } from '../fixtures/fault-server.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { run } from '../fixtures/run.ts';
import { SeededRandom } from '../request/seeded-random.ts';
import { sha256, transferOf } from '../transfer/transfer-run.ts';

const MIB = 1024 * 1024;
const CONTENT = noiseOf(3 * MIB);
/** Of the same length, and from the second byte on the same. */
const OTHER = Buffer.from(CONTENT);
OTHER[0] = (OTHER[0] ?? 0) ^ 0xff;
const STOP = 2 * MIB;

const LONG_AGO = { 'Last-Modified': 'Mon, 02 Jan 2023 10:00:00 GMT', Date: 'Mon, 02 Jan 2023 11:00:00 GMT' };
const JUST_NOW = { 'Last-Modified': 'Mon, 02 Jan 2023 10:00:00 GMT', Date: 'Mon, 02 Jan 2023 10:00:30 GMT' };

/** Stops the first answer, and none after it. */
const once = (call: FaultCall, by: 'end' | 'reset' | 'stall' = 'end') =>
  call.number === 0 ? { stop: { after: STOP, by } } : {};

const headerOf = (head: string | undefined, name: string) =>
  new RegExp(`^${name}: (.*)\r$`, 'im').exec(head ?? '')?.[1];

describe.concurrent('a body that stops', () => {
  test.each([
    ['end', 'the server closed the connection too early'],
    ['stall', 'the server stopped sending'],
  ] as const)('by %s is resumed where it stopped, and nothing is sent twice', async (by, cause) => {
    await using server = await startFaultServer((call) =>
      sendFile(call, CONTENT, { headers: { ETag: '"one"' }, ...once(call, by) }),
    );
    const url = `${server.url}/image.raw`;
    const { image, said } = await transferOf(url, by === 'stall' ? { silence: 3000 } : {});
    expect(image?.equals(CONTENT)).toBe(true);
    expect(headerOf(server.requests[1], 'range')).toBe(`bytes=${STOP}-`);
    expect(headerOf(server.requests[1], 'if-range')).toBe('"one"');
    expect(server.sent()).toBe(CONTENT.length);
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(
      new RegExp(`^${url}: ${cause}; resuming at byte ${STOP} of ${CONTENT.length} in 0\\.\\d s$`),
    );
  });

  test('by a reset is resumed behind what had been read', async () => {
    await using server = await startFaultServer((call) =>
      sendFile(call, CONTENT, { headers: { ETag: '"one"' }, ...once(call, 'reset') }),
    );
    const { image, said } = await transferOf(`${server.url}/image.raw`);
    expect(image?.equals(CONTENT)).toBe(true);
    expect(said[0]).toContain('the connection was reset; resuming at byte');
    expect(said).toHaveLength(1);
  });

  test('before its first byte is begun again', async () => {
    await using server = await startFaultServer((call) =>
      sendFile(call, CONTENT, call.number === 0 ? { stop: { after: 0, by: 'end' } } : {}),
    );
    const { image, said } = await transferOf(`${server.url}/image.raw`);
    expect(image?.equals(CONTENT)).toBe(true);
    expect(headerOf(server.requests[1], 'range')).toBeUndefined();
    expect(said[0]).toContain('; trying again in 0.');
  });

  test('at 30 random places, in chunks of any size, gives the same file and wastes less than 1 MiB', async () => {
    const packed = run(['xz', '-0', '-c'], { input: CONTENT });
    const transfers = Array.from({ length: 6 }, async (_, number) => {
      const random = new SeededRandom(number);
      const stops = Array.from({ length: 5 }, () => random.below(packed.length)).sort((a, b) => a - b);
      await using server = await startFaultServer((call) => {
        const from = Number(/\d+/.exec(call.header('range') ?? '0')?.[0]);
        const stop = stops[call.number];
        return sendFile(call, packed, {
          headers: { ETag: '"one"' },
          chunk: () => 1 + random.below(100_000),
          ...(stop !== undefined && {
            stop: { after: Math.max(0, stop - from), by: stop % 2 === 0 ? 'end' : 'stall' },
          }),
        });
      });
      const { image, error, said } = await transferOf(`${server.url}/image.raw`, { silence: 3000 });
      expect({ error: error?.message, said: said.length, stops }).toEqual({
        error: undefined,
        said: 5,
        stops,
      });
      expect(image?.equals(CONTENT)).toBe(true);
      expect(server.sent() - packed.length).toBeLessThanOrEqual(MIB);
    });
    await Promise.all(transfers);
  });
});

describe.concurrent('what identifies the file', () => {
  test.each([
    ['a strong ETag, also where there is a date', { ETag: '"a"', ...LONG_AGO }, '"a"'],
    ['a date that was old when it was sent', LONG_AGO, LONG_AGO['Last-Modified']],
  ])('%s: a part is asked for', async (_, headers, ifRange) => {
    await using server = await startFaultServer((call) =>
      sendFile(call, CONTENT, { headers, ...once(call) }),
    );
    const { image } = await transferOf(`${server.url}/image.raw`);
    expect(image?.equals(CONTENT)).toBe(true);
    expect(headerOf(server.requests[1], 'range')).toBe(`bytes=${STOP}-`);
    expect(headerOf(server.requests[1], 'if-range')).toBe(ifRange);
    expect(server.sent()).toBe(CONTENT.length);
  });

  test.each([
    ['a weak ETag', { ETag: 'W/"a"', ...LONG_AGO }],
    ['a date of the last minute', JUST_NOW],
    ['nothing', {}],
  ])('%s: the whole is asked for, and its beginning compared', async (_, headers) => {
    await using server = await startFaultServer((call) =>
      sendFile(call, CONTENT, { headers, ...once(call) }),
    );
    const url = `${server.url}/image.raw`;
    const { image, said } = await transferOf(url);
    expect(image?.equals(CONTENT)).toBe(true);
    expect(headerOf(server.requests[1], 'range')).toBeUndefined();
    expect(said[1]).toBe(
      `${url}: the server sends the whole file again; its first 2.0 MiB are compared with what arrived`,
    );
  });

  test('an expected digest: a part is asked for whatever the server says', async () => {
    await using server = await startFaultServer((call) => sendFile(call, CONTENT, once(call)));
    const verify = { kind: 'sha256', digest: sha256(CONTENT) } as const;
    const { image } = await transferOf(`${server.url}/image.raw`, { verify });
    expect(image?.equals(CONTENT)).toBe(true);
    expect(headerOf(server.requests[1], 'range')).toBe(`bytes=${STOP}-`);
    expect(server.sent()).toBe(CONTENT.length);
  });
});

describe.concurrent('a file that is replaced during the download', () => {
  /** The first answer is of one file, and stops; all others are of another. */
  async function replaced(
    before: Record<string, string>,
    after: Record<string, string>,
    { ranges = true, next = OTHER } = {},
  ) {
    await using server = await startFaultServer((call) =>
      call.number === 0
        ? sendFile(call, CONTENT, { headers: before, stop: { after: STOP, by: 'end' } })
        : sendFile(call, next, { headers: after, ranges }),
    );
    const { image, said } = await transferOf(`${server.url}/image.raw`);
    return { image, said, requests: server.requests.length };
  }

  test.each([
    ['another ETag', { ETag: '"a"' }, { ETag: '"b"' }, 'it has another ETag now'],
    ['another weak ETag', { ETag: 'W/"a"' }, { ETag: 'W/"b"' }, 'it has another ETag now'],
    ['a weak ETag that is not its strong one', { ETag: '"a"' }, { ETag: 'W/"b"' }, 'it has another ETag now'],
    [
      'the same weak ETag and other bytes',
      { ETag: 'W/"a"' },
      { ETag: 'W/"a"' },
      `its first ${STOP} bytes are not those that had arrived`,
    ],
    [
      'another date',
      LONG_AGO,
      { ...LONG_AGO, 'Last-Modified': 'Mon, 02 Jan 2023 10:30:00 GMT' },
      'it has another date now',
    ],
    ['nothing but other bytes', {}, {}, `its first ${STOP} bytes are not those that had arrived`],
    [
      'the same date and other bytes',
      JUST_NOW,
      JUST_NOW,
      `its first ${STOP} bytes are not those that had arrived`,
    ],
  ])('is noticed by %s, and begun anew', async (_, before, after, how) => {
    for (const ranges of [true, false]) {
      const { image, said } = await replaced(before, after, { ranges });
      expect(image?.equals(OTHER)).toBe(true);
      expect(said.at(-1)).toEndWith(
        `/image.raw: this is not the file that the download began with: ${how}; ${STOP} of ${CONTENT.length} bytes had arrived; starting over`,
      );
    }
  });

  test.each([
    ['longer', Buffer.concat([CONTENT, CONTENT])],
    ['shorter than what had arrived', CONTENT.subarray(0, MIB)],
  ])('by a %s one is begun anew', async (_, next) => {
    for (const ranges of [true, false]) {
      const { image, said } = await replaced({ ETag: '"a"' }, { ETag: '"b"' }, { ranges, next });
      expect(image?.equals(next)).toBe(true);
      expect(said.at(-1)).toContain(`it has ${next.length} bytes now, and had ${CONTENT.length}; `);
    }
  });

  test('is noticed by its date where the part has no ETag', async () => {
    const later = 'Last-Modified: Mon, 02 Jan 2023 10:30:00 GMT';
    await using server = await startFaultServer(async (call) => {
      if (call.number === 0)
        return sendFile(call, CONTENT, {
          headers: { ETag: '"a"', ...LONG_AGO },
          stop: { after: STOP, by: 'end' },
        });
      if (call.header('range') === undefined) return sendFile(call, OTHER);
      const rest = OTHER.subarray(STOP);
      await call.send(
        `HTTP/1.1 206 Partial Content\r\n${later}\r\nContent-Range: bytes ${STOP}-${OTHER.length - 1}/${OTHER.length}\r\nContent-Length: ${rest.length}\r\n\r\n`,
      );
      await call.send(rest);
    });
    const { image, said } = await transferOf(`${server.url}/image.raw`);
    expect(image?.equals(OTHER)).toBe(true);
    expect(said.at(-1)).toContain('this is not the file that the download began with');
  });

  test('again and again is given up', async () => {
    await using server = await startFaultServer((call) =>
      sendFile(call, CONTENT, {
        headers: { ETag: `"${call.number}"` },
        stop: { after: MIB + call.number, by: 'end' },
      }),
    );
    const { error } = await transferOf(`${server.url}/image.raw`);
    expect(error?.code).toBe('http-changed');
    expect(error?.message).toContain('it has another ETag now');
    expect(server.requests.length).toBe(12);
  });

  test('under a digest that joined parts do not have is begun anew, without joining on trust', async () => {
    const verify = { kind: 'sha256', digest: sha256(OTHER) } as const;
    await using server = await startFaultServer((call) =>
      call.number === 0
        ? sendFile(call, CONTENT, { stop: { after: STOP, by: 'end' } })
        : sendFile(call, OTHER),
    );
    const { image, said } = await transferOf(`${server.url}/image.raw`, { verify });
    expect(image?.equals(OTHER)).toBe(true);
    expect(said.at(-1)).toEndWith('starting over, because it was joined from several answers');
  });
});

describe.concurrent('a server that answers a request for a part wrongly', () => {
  const partial = (headers: string, body: Uint8Array) => async (call: FaultCall) => {
    await call.send(`HTTP/1.1 206 Partial Content\r\nContent-Length: ${body.length}\r\n${headers}\r\n\r\n`);
    await call.send(body);
  };
  const rest = CONTENT.subarray(STOP);
  const last = CONTENT.length - 1;

  test.each([
    ['another start', `Content-Range: bytes ${STOP - 1}-${last - 1}/${CONTENT.length}`],
    ['an end behind the last byte', `Content-Range: bytes ${STOP}-${CONTENT.length}/${CONTENT.length}`],
    ['an end that its length contradicts', `Content-Range: bytes ${STOP}-${last - 7}/${CONTENT.length}`],
    ['no range', 'X: y'],
    ['no sense', 'Content-Range: bytes 1'],
    ['several parts', 'Content-Type: multipart/byteranges; boundary=x'],
  ])('with %s is asked for the whole', async (_, headers) => {
    await using server = await startFaultServer((call) =>
      call.header('range') === undefined
        ? sendFile(call, CONTENT, { headers: { ETag: '"a"' }, ...once(call) })
        : partial(`ETag: "a"\r\n${headers}`, rest)(call),
    );
    const { image, said, error } = await transferOf(`${server.url}/image.raw`);
    expect(error).toBeUndefined();
    expect(image?.equals(CONTENT)).toBe(true);
    expect(said.at(-1)).toContain('the server sends the whole file again');
  });

  test('with another length of the whole is begun anew, and its connection given up', async () => {
    const parts: Promise<void>[] = [];
    await using server = await startFaultServer((call) =>
      call.header('range') === undefined
        ? sendFile(call, CONTENT, { headers: { ETag: '"a"' }, ...once(call) })
        : void parts.push(
            call.closed,
            // Without an end, so that only the client can close it.
            call.send(
              `HTTP/1.1 206 Partial Content\r\nContent-Length: ${rest.length}\r\nETag: "a"\r\n` +
                `Content-Range: bytes ${STOP}-${last}/${CONTENT.length + 1}\r\n\r\n`,
            ),
          ),
    );
    const { image, said } = await transferOf(`${server.url}/image.raw`);
    expect(image?.equals(CONTENT)).toBe(true);
    expect(parts.length).toBeGreaterThan(0);
    await Promise.all(parts);
    expect(said.at(-1)).toContain('bytes now, and had');
  });

  test('with 416 is asked for the whole', async () => {
    await using server = await startFaultServer((call) =>
      call.header('range') === undefined
        ? sendFile(call, CONTENT, { headers: { ETag: '"a"' }, ...once(call) })
        : call.send('HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n\r\n'),
    );
    const { image } = await transferOf(`${server.url}/image.raw`);
    expect(image?.equals(CONTENT)).toBe(true);
    expect(server.requests.length).toBe(3);
  });

  test('piece by piece is asked as often as it takes', async () => {
    const piece = 300_000;
    await using server = await startFaultServer((call) => {
      const from = Number(/\d+/.exec(call.header('range') ?? '')?.[0]);
      if (Number.isNaN(from)) return sendFile(call, CONTENT, { headers: { ETag: '"a"' }, ...once(call) });
      const to = Math.min(from + piece, CONTENT.length) - 1;
      return partial(
        `ETag: "a"\r\nContent-Range: bytes ${from}-${to}/${CONTENT.length}`,
        CONTENT.subarray(from, to + 1),
      )(call);
    });
    const { image, said } = await transferOf(`${server.url}/image.raw`);
    expect(image?.equals(CONTENT)).toBe(true);
    expect(said).toHaveLength(1);
    expect(server.requests.length).toBe(1 + Math.ceil((CONTENT.length - STOP) / piece));
  });

  test('with a part of a file whose length nobody says is asked for the whole', async () => {
    await using server = await startFaultServer(async (call) => {
      if (call.header('range') !== undefined) {
        return partial(`ETag: "a"\r\nContent-Range: bytes ${STOP}-${STOP + 9}/*`, rest.subarray(0, 10))(call);
      }
      await call.send('HTTP/1.1 200 OK\r\nETag: "a"\r\nTransfer-Encoding: chunked\r\n\r\n');
      const body = call.number === 0 ? CONTENT.subarray(0, STOP) : CONTENT;
      await call.send(`${body.length.toString(16)}\r\n`);
      await call.send(body);
      if (call.number === 0) call.end();
      else await call.send('\r\n0\r\n\r\n');
    });
    const { image } = await transferOf(`${server.url}/image.raw`);
    expect(image?.equals(CONTENT)).toBe(true);
    expect(server.requests.length).toBe(3);
  });

  test('with a part that nobody asked for is refused', async () => {
    await using server = await startFaultServer(
      partial(`Content-Range: bytes 0-${last - STOP}/${CONTENT.length}`, rest),
    );
    const { error } = await transferOf(`${server.url}/image.raw`);
    expect(error?.message).toBe(`${server.url}/image.raw: the server answers 206 Partial Content`);
    expect(server.requests.length).toBe(1);
  });
});
