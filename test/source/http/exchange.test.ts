import { afterAll, describe, expect, test } from 'bun:test';
import { exchange } from '../../../src/source/exchange.ts';
import { type FaultCall, startFaultServer } from '../../fixtures/fault-server.ts';
import { failureOf, readAll } from '../reading.ts';

/** One server for all: a request's path is the key of its answer. */
const answers = new Map<string, (call: FaultCall) => Promise<void>>();
const server = await startFaultServer((call) => answers.get(call.path)?.(call));
afterAll(() => server[Symbol.asyncDispose]());

/** The URL of an answer that is sent as it is, after which the connection is closed. */
function urlOf(answer: string | Uint8Array, how: 'end' | 'reset' | 'keep' = 'end'): string {
  const path = `/${answers.size}.raw`;
  answers.set(path, async (call) => {
    await call.send(answer);
    if (how === 'end') call.end();
    if (how === 'reset') call.reset();
  });
  return `${server.url}${path}`;
}

const OK = 'HTTP/1.1 200 OK\r\n';
const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n`;

describe.concurrent('a server that sends a byte now and then, and nothing of use,', () => {
  const SILENCE = 500;
  const DRIP = 100;

  test.each([
    ['in a head that does not end', `${OK}X: `, 'the server does not answer'],
    ['in the size of a chunk', `${CHUNKED}4;x=`, 'the server stopped sending'],
    ['in trailers', `${CHUNKED}4\r\nbody\r\n0\r\nX: `, 'the server stopped sending'],
  ])('%s, is given up', async (_, begun, message) => {
    const path = `/drip-${answers.size}.raw`;
    answers.set(path, async (call) => {
      await call.send(begun);
      // A client that goes is gone for a moment before that is told.
      const timer = setInterval(() => call.send('x').catch(() => undefined), DRIP);
      await call.closed;
      clearInterval(timer);
    });
    const asked = performance.now();
    const failed = await failureOf(readAll(`${server.url}${path}`, { silence: SILENCE }));
    expect(failed).toMatchObject({ code: 'transfer-stalled', message: expect.stringContaining(message) });
    expect(performance.now() - asked).toBeLessThan(10 * SILENCE);
  });

  test('but is waited for as long as bytes of the body come', async () => {
    const path = `/drip-${answers.size}.raw`;
    answers.set(path, async (call) => {
      await call.send(`${OK}Content-Length: 10\r\n\r\n`);
      for (let sent = 0; sent < 10; sent++) {
        await Bun.sleep(DRIP);
        await call.send('x');
      }
      call.end();
    });
    expect(await readAll(`${server.url}${path}`, { silence: SILENCE })).toBe('xxxxxxxxxx');
  });
});

describe.concurrent('a body is what the head says:', () => {
  test.each([
    ['of a length', `${OK}Content-Length: 4\r\n\r\nbody`],
    ['and nothing of what follows it', `${OK}Content-Length: 4\r\n\r\nbodyHTTP/1.1 200 OK\r\n`],
    ['in chunks', `${CHUNKED}1\r\nb\r\n3\r\nody\r\n0\r\n\r\n`],
    ['in chunks, and nothing of what follows the last', `${CHUNKED}4\r\nbody\r\n0\r\n\r\nmore`],
    [
      'in chunks whose sizes have zeros and capitals',
      `${CHUNKED}0000000000001\r\nb\r\n003\r\nody\r\n00\r\n\r\n`,
    ],
    ['in chunks with extensions', `${CHUNKED}4 ;name="a;b"\r\nbody\r\n0;last\r\n\r\n`],
    ['in chunks whose sizes are padded', `${CHUNKED}4  \r\nbody\r\n0  \r\n\r\n`],
    ['in chunks with trailers', `${CHUNKED}4\r\nbody\r\n0\r\nDigest: 9\r\nX: y\r\n\r\n`],
    ['of chunks, in whatever case', `${OK}transfer-ENCODING:\tChunked \r\n\r\n4\r\nbody\r\n0\r\n\r\n`],
    ['until the connection ends', `${OK}\r\nbody`],
    ['of version 1.0', 'HTTP/1.0 200 OK\r\n\r\nbody'],
    ['without words behind the status', 'HTTP/1.1 200\r\nContent-Length: 4\r\n\r\nbody'],
    [
      'behind interim answers',
      `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${OK}\r\nbody`,
    ],
    ['behind headers that are empty', `${OK}X:\r\nY: \t \r\nContent-Length:\t4 \r\n\r\nbody`],
    ['behind a head whose lines end with LF alone', 'HTTP/1.1 200 OK\nContent-Length: 4\n\nbody'],
    ['behind a head one of whose lines does', `${OK}X: y\nContent-Length: 4\n\r\nbody`],
  ])('%s', async (_, answer) => {
    expect(await readAll(urlOf(answer))).toBe('body');
  });

  test.each([
    ['to HEAD', 'HEAD', `${OK}Content-Length: 4\r\n\r\n`, 200],
    ['in chunks to HEAD', 'HEAD', `${OK}Transfer-Encoding: chunked\r\n\r\n`, 200],
    ['204', 'GET', 'HTTP/1.1 204 No Content\r\n\r\n', 204],
    [
      '304 that says how long the file is',
      'GET',
      'HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n',
      304,
    ],
  ])('the answer %s has none, and is not waited for', async (_, method, answer, status) => {
    const { signal } = new AbortController();
    const url = new URL(urlOf(answer, 'keep'));
    const got = await exchange(url, {}, { ca: [], signal, headOnly: method === 'HEAD' });
    expect(got.status).toBe(status);
    for await (const chunk of got.body) expect(chunk).toBe(new Uint8Array(0));
  });
});

describe.concurrent('what breaks the rules is refused, and said:', () => {
  test.each([
    ['no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n', 'it begins with "SSH-2.0-OpenSSH_9.2"'],
    ['HTTP/0.9', '<html>the file</html>', 'it begins with "<html>the file</html>"'],
    ['HTTP/2', Buffer.from('000006040000000000000400010000', 'hex'), 'it begins with "\\x00'],
    [
      'version 2 in the words of version 1',
      'HTTP/2.0 200 OK\r\n\r\n',
      'it is of version 2.0, and 1.1 was asked for',
    ],
    ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n', 'its first line is "HTTP/1.1 20 OK"'],
    ['a status below 100', 'HTTP/1.1 099 OK\r\n\r\n', 'its first line is "HTTP/1.1 099 OK"'],
    ['a status that is no number', 'HTTP/1.1 2OO OK\r\n\r\n', 'its first line is "HTTP/1.1 2OO OK"'],
    ['an empty first line', `\r\n${OK}\r\nbody`, 'its first line is ""'],
    ['NUL in the words', 'HTTP/1.1 200 O\0K\r\n\r\n', 'its first line is "HTTP/1.1 200 O\\x00K"'],
    [
      'a new protocol',
      'HTTP/1.1 101 Switching Protocols\r\n\r\n',
      'goes over to a protocol that was not asked for',
    ],
    [
      'interim answers without end',
      'HTTP/1.1 100 Continue\r\n\r\n'.repeat(11),
      'more than 10 interim answers',
    ],
    ['CR in a header', `${OK}X: a\rContent-Length: 4\r\n\r\nbody`, 'one of its headers is "X: a\\x0dContent'],
    ['NUL in a header', `${OK}X: a\0b\r\n\r\nbody`, 'one of its headers is "X: a\\x00b"'],
    [
      'a space before the colon',
      `${OK}Content-Length : 4\r\n\r\nbody`,
      'one of its headers is "Content-Length : 4"',
    ],
    ['a header without colon', `${OK}nothing\r\n\r\nbody`, 'one of its headers is "nothing"'],
    [
      'a first line with two carriage returns behind it',
      'HTTP/1.1 200 OK\r\r\nContent-Length: 4\r\n\r\nbody',
      'a carriage return within its head ends no line',
    ],
    ['a header without name', `${OK}: x\r\n\r\nbody`, 'one of its headers is ": x"'],
    ['a first header that is folded', `${OK} X: y\r\n\r\nbody`, 'its first header begins with a space'],
    [
      'two lengths',
      `${OK}Content-Length: 4\r\nContent-Length: 5\r\n\r\nbody`,
      'its Content-Length is 4 and 5',
    ],
    ['two lengths in one line', `${OK}Content-Length: 4,5\r\n\r\nbody`, 'its Content-Length is 4 and 5'],
    ['a length in two lines', `${OK}Content-Length: 1\r\n 2\r\n\r\nbody`, 'its Content-Length is "1 2"'],
    ['a length below 0', `${OK}Content-Length: -1\r\n\r\nbody`, 'its Content-Length is "-1"'],
    ['a length with a sign', `${OK}Content-Length: +4\r\n\r\nbody`, 'its Content-Length is "+4"'],
    ['a length of 16', `${OK}Content-Length: 0x4\r\n\r\nbody`, 'its Content-Length is "0x4"'],
    ['no length', `${OK}Content-Length:\r\n\r\nbody`, 'its Content-Length is ""'],
    [
      'a length beyond numbers',
      `${OK}Content-Length: 18446744073709551620\r\n\r\nb`,
      'is "18446744073709551620"',
    ],
    ['a length and chunks', `${OK}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 'both'],
    [
      'chunks and no length',
      `${OK}Transfer-Encoding: chunked\r\nContent-Length:\r\n\r\n0\r\n\r\n`,
      'Content-Length',
    ],
    [
      'another coding',
      `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n`,
      'its Transfer-Encoding is gzip, chunked',
    ],
    [
      'chunks twice',
      `${OK}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`,
      'is chunked, chunked',
    ],
    [
      'a coding that is none',
      `${OK}Transfer-Encoding: identity\r\n\r\nbody`,
      'its Transfer-Encoding is identity',
    ],
    // To curl it is chunked, and to llhttp a body that ends with the connection.
    [
      'a coding with a tab behind it',
      `${OK}Transfer-Encoding: chunked\t\r\n\r\n4\r\nbody\r\n0\r\n\r\n`,
      'a tab follows its Transfer-Encoding',
    ],
    [
      'a coding with a tab between blanks behind it',
      `${OK}Transfer-Encoding: chunked \t \r\n\r\n4\r\nbody\r\n0\r\n\r\n`,
      'a tab follows its Transfer-Encoding',
    ],
    ['an empty coding', `${OK}Transfer-Encoding:\r\n\r\nbody`, 'its Transfer-Encoding is'],
    [
      'chunks of version 1.0',
      'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
      'and is of version 1.0',
    ],
    ['a chunk without size', `${CHUNKED}\r\nbody\r\n`, 'the size of a chunk is ""'],
    ['a chunk below 0', `${CHUNKED}-4\r\nbody\r\n`, 'the size of a chunk is "-4"'],
    ['a size with 0x', `${CHUNKED}0x4\r\nbody\r\n`, 'the size of a chunk is "0x4"'],
    ['a size with a space before it', `${CHUNKED} 4\r\nbody\r\n`, 'the size of a chunk is " 4"'],
    [
      'a size beyond numbers',
      `${CHUNKED}10000000000000004\r\nbody\r\n`,
      'the size of a chunk is "10000000000000004"',
    ],
    [
      'a size that ends in LF alone',
      `${CHUNKED}4\nbody\r\n0\r\n\r\n`,
      'a line ends without a carriage return',
    ],
    [
      'an extension with CR in it',
      `${CHUNKED}4;a\rb\r\nbody\r\n0\r\n\r\n`,
      'the size of a chunk is "4;a\\x0db"',
    ],
    ['an extension without end', `${CHUNKED}4;${'x'.repeat(5000)}`, 'the size of a chunk is too long a line'],
    [
      'a chunk longer than it says',
      `${CHUNKED}4\r\nbodyandmore\r\n0\r\n\r\n`,
      'a chunk is longer than it says',
    ],
    [
      'a chunk of lines that all begin with a space, with more behind it',
      `${CHUNKED}30d40\r\n${' \n'.repeat(100_000)} more\r\n0\r\n\r\n`,
      'a chunk is longer than it says',
    ],
    [
      'a chunk that ends in LF alone',
      `${CHUNKED}4\r\nbody\n0\r\n\r\n`,
      'a line ends without a carriage return',
    ],
    [
      'a trailer that is none',
      `${CHUNKED}4\r\nbody\r\n0\r\nnothing\r\n\r\n`,
      'one of its headers is "nothing"',
    ],
    [
      'trailers without end',
      `${CHUNKED}0\r\n${'X: yyyyyyyy\r\n'.repeat(2000)}`,
      'the trailers are longer than 16384 bytes',
    ],
  ])('%s', async (_, answer, why) => {
    // Where the connection stays open, what was seen must be enough.
    const { code, message, hint } = await failureOf(readAll(urlOf(answer, 'keep'), { silence: 20_000 }));
    expect({ code, hint }).toEqual({
      code: 'http-protocol',
      hint: 'check that the URL points at a web server, and its port',
    });
    expect(message).toContain(': the answer is not HTTP (');
    expect(message).toContain(why);
  });

  // What undici, and llhttp in it, refuses, though RFC 9112 lets a recipient take it.
  test.each([
    [
      'a length that is said twice, the same',
      `${OK}Content-Length: 4\r\nContent-Length: 4\r\n\r\nbody`,
      'its Content-Length is 4 and 4',
    ],
    [
      'a length that is said twice in one line',
      `${OK}Content-Length: 4, 4\r\n\r\nbody`,
      'its Content-Length is 4 and 4',
    ],
    ['a header that is folded', `${OK}X: a\r\n b\r\n\r\nbody`, 'one of its headers is "X: a b"'],
    ['a length that is folded', `${OK}Content-Length:\r\n 4\r\n\r\nbody`, 'its Content-Length is "'],
    [
      'a length among the trailers',
      `${CHUNKED}4\r\nbody\r\n0\r\nContent-Length: 9\r\n\r\n`,
      'it has both a Content-Length and a Transfer-Encoding',
    ],
    [
      'an extension with a space before its name',
      `${CHUNKED}4; name="a;b"\r\nbody\r\n0\r\n\r\n`,
      'the size of a chunk is "4; name="a;b""',
    ],
  ])('%s', async (_, answer, why) => {
    const { code, message } = await failureOf(readAll(urlOf(answer, 'keep'), { silence: 20_000 }));
    expect(code).toBe('http-protocol');
    expect(message).toContain(why);
  });

  test('heads together longer than 16 KiB', async () => {
    const hints = `HTTP/1.1 103 Early Hints\r\nX: ${'y'.repeat(10_000)}\r\n\r\n`;
    const { code, message } = await failureOf(readAll(urlOf(`${hints}${hints}${OK}\r\nbody`, 'keep')));
    expect(code).toBe('http-protocol');
    expect(message).toEndWith(': the head of the answer is longer than 16 KiB');
  });

  test('bytes that are no letters are shown as such in the words of a server', async () => {
    const { message } = await failureOf(readAll(urlOf('HTTP/1.1 404 \x9b2J\r\nContent-Length: 0\r\n\r\n')));
    expect(message).toEndWith(': the server answers 404 Â\\x9b2J');
  });
});

describe.concurrent('an answer that ends too early is a lost connection:', () => {
  test.each([
    ['before it begins', ''],
    ['in the first line', 'HTTP/1.1 200'],
    ['in the head', `${OK}Content-Length: 4\r\n`],
    ['behind an interim answer', 'HTTP/1.1 100 Continue\r\n\r\n'],
    ['in a body of a length', `${OK}Content-Length: 5\r\n\r\nbody`],
    ['before a body of a length', `${OK}Content-Length: 5\r\n\r\n`],
    ['in the size of a chunk', `${CHUNKED}4\r\nbody\r\n1`],
    ['in a chunk', `${CHUNKED}5\r\nbody`],
    ['behind a chunk', `${CHUNKED}4\r\nbody\r\n`],
    ['in the last chunk', `${CHUNKED}4\r\nbody\r\n0\r\n`],
    ['in the trailers', `${CHUNKED}4\r\nbody\r\n0\r\nX: y\r\n`],
  ])('%s', async (_, answer) => {
    const closed = await failureOf(readAll(urlOf(answer, 'end')));
    expect(closed.code).toBe('connection-lost');
    expect(closed.message).toEndWith(': the server closed the connection too early');
    const reset = await failureOf(readAll(urlOf(answer, 'reset')));
    expect(reset.code).toBe('connection-lost');
  });

  test('in a body that would end with the connection, if that is reset', async () => {
    expect((await failureOf(readAll(urlOf(`${OK}\r\nbody`, 'reset')))).message).toEndWith(
      'the connection was reset',
    );
  });
});

describe.concurrent('a server that falls silent', () => {
  test.each([
    ['before it answers', '', 'the server does not answer'],
    ['in the head', `${OK}X`, 'the server does not answer'],
    ['behind the head', `${OK}Content-Length: 5\r\n\r\n`, 'the server stopped sending'],
    ['in the body', `${OK}Content-Length: 5\r\n\r\nbody`, 'the server stopped sending'],
    ['before the last chunk', `${CHUNKED}4\r\nbody\r\n`, 'the server stopped sending'],
    ['before it closes the connection', `${OK}\r\nbody`, 'the server stopped sending'],
  ])('%s is given up', async (_, answer, reason) => {
    const { code, message } = await failureOf(readAll(urlOf(answer, 'keep'), { silence: 300 }));
    expect(code).toBe('transfer-stalled');
    expect(message).toEndWith(`: ${reason}`);
  });

  test('is not to blame when nobody reads', async () => {
    const { signal } = new AbortController();
    const url = new URL(urlOf(`${OK}Content-Length: 4\r\n\r\nbody`, 'keep'));
    const { body } = await exchange(url, {}, { ca: [], signal, silence: 200 });
    await Bun.sleep(700);
    const read: number[] = [];
    for await (const chunk of body) read.push(chunk.length);
    expect(read).toEqual([4]);
  });
});

test('a reader that stops holds the server up, and then gets every byte', async () => {
  const content = Buffer.alloc(32 * 1024 * 1024, 'all of it');
  let handed = 0;
  const path = '/slowly.raw';
  answers.set(path, async (call) => {
    await call.send(`${OK}Content-Length: ${content.length}\r\n\r\n`);
    for (; handed < content.length; handed += 65_536)
      await call.send(content.subarray(handed, handed + 65_536));
  });
  const { signal } = new AbortController();
  const { body } = await exchange(new URL(`${server.url}${path}`), {}, { ca: [], signal });
  const chunks = body[Symbol.asyncIterator]();
  const parts = [Buffer.from((await chunks.next()).value)];
  await Bun.sleep(500);
  // What the kernel keeps for both sockets, and little more.
  expect(handed).toBeLessThan(content.length / 2);
  for await (const chunk of { [Symbol.asyncIterator]: () => chunks }) parts.push(Buffer.from(chunk));
  expect(Buffer.concat(parts).equals(content)).toBe(true);
});

describe('the request', () => {
  test('is one for HTTP/1.1, the only one of its connection, and says no more than it has to', async () => {
    await readAll(urlOf(`${OK}Content-Length: 0\r\n\r\n`));
    const host = server.url.replace('http://', '');
    expect(server.requests.at(-1)?.replace(/rdpull\/[\d.]+/, 'rdpull/V')).toBe(
      `GET /${answers.size - 1}.raw HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\nuser-agent: rdpull/V\r\naccept-encoding: identity\r\n\r\n`,
    );
  });

  test('is not sent when a header would end its line', async () => {
    const { signal } = new AbortController();
    const sent = server.requests.length;
    const url = new URL(urlOf(`${OK}\r\n`));
    const failure = await failureOf(exchange(url, { authorization: 'secret\r\nX: y' }, { ca: [], signal }));
    expect(failure.message).toContain('the header authorization cannot be sent over HTTP');
    expect(failure.message).not.toContain('secret');
    expect(server.requests.length).toBe(sent);
  });
});
