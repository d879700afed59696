import { afterAll, expect, test } from 'bun:test';
import { spawn } from 'node:child_process';
import type net from 'node:net';
import { Duplex } from 'node:stream';
import fc from 'fast-check';
import { createAnswer } from '../../../src/source/http/answer.ts';
import { HttpFault } from '../../../src/source/http/http-fault.ts';
import { createOriginPool } from '../../../src/source/http/origin-pool.ts';
import { openHttpSource } from '../../../src/source/http.ts';
import { startFaultServer } from '../../fixtures/fault-server.ts';
import { alwaysAsync, CASES, mutatedBytes, unlessRefusedAsync } from '../../fixtures/property.ts';

const OK = 'HTTP/1.1 200 OK\r\n';
const SAMPLES = [
  `${OK}Server: nginx\r\nContent-Length: 12\r\nETag: "a"\r\nConnection: close\r\n\r\ntwelve bytes`,
  `${OK}Transfer-Encoding: chunked\r\n\r\n6\r\ntwelve\r\n6;x="y"\r\n bytes\r\n0\r\nX: y\r\n\r\n`,
  `${OK}Content-Type: x\r\n\r\ntwelve bytes`,
  'HTTP/1.0 200 OK\nX: a b\nContent-Length: 12 \n\ntwelve bytes',
  `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${OK}Content-Length: 12\r\n\r\ntwelve bytes`,
].map((sample) => Buffer.from(sample, 'latin1'));

/** A connection over which these segments come, and then its end. */
function connectionOf(segments: readonly Uint8Array[]): Duplex {
  const left = [...segments];
  return new Duplex({
    // One that was cut into nothing is none.
    read() {
      let next = left.shift();
      while (next?.length === 0) next = left.shift();
      // Each comes by itself.
      setImmediate(() => this.push(next === undefined ? null : Buffer.from(next)));
    },
    write: (_chunk, _encoding, callback) => callback(),
    highWaterMark: 1,
  });
}

/** What is read of an answer that comes in these segments, or the code of the fault. */
async function read(segments: readonly Uint8Array[]): Promise<string> {
  const pool = createOriginPool('http://127.0.0.1:1', { kept: false });
  const answer = createAnswer(20_000, new AbortController().signal);
  try {
    const connect = async () => connectionOf(segments) as net.Socket;
    await pool.send({ method: 'GET', path: '/', headers: {}, connect }, answer.handler);
    const head = await answer.head;
    let body = `${head.status} ${head.reason} ${head.values('x').join('|')}: `;
    const named = (error: unknown) => (error instanceof Error ? error : new Error(String(error)));
    for await (const chunk of answer.body(named)) body += Buffer.from(chunk).toString('latin1');
    return body;
  } catch (error) {
    // The words of a fault tell how much of a line had come.
    if (error instanceof HttpFault) return error.code;
    throw error;
  } finally {
    pool.close();
  }
}

function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort(
    (one, other) => one - other,
  );
  return [0, ...at].map((from, index) => bytes.subarray(from, at[index] ?? bytes.length));
}

test('however an answer is cut into segments, it is read the same', async () => {
  const valid = new Set<string>();
  for (const sample of SAMPLES) {
    const whole = await read([sample]);
    expect(whole).toEndWith(': twelve bytes');
    valid.add(whole);
    expect(await read([...sample].map((byte) => Uint8Array.of(byte)))).toBe(whole);
    for (let at = 0; at <= sample.length; at++) expect(await read(cut(sample, [at]))).toBe(whole);
  }
  const answer = fc.oneof(fc.constantFrom(...SAMPLES), mutatedBytes(SAMPLES));
  await alwaysAsync(fc.tuple(answer, fc.array(fc.nat(), { maxLength: 8 })), async ([bytes, places]) => {
    expect(await read(cut(bytes, places))).toBe(await read([bytes]));
  });
});

let answer: Uint8Array = new Uint8Array(0);
const server = await startFaultServer(async (call) => {
  await call.send(answer);
  call.end();
});
afterAll(() => server[Symbol.asyncDispose]());

/** The bytes of the file; undefined when the answer is refused. */
async function fetched(): Promise<string | undefined> {
  const { signal } = new AbortController();
  const options = { ca: [], login: undefined, signal, silence: 5000, redirects: 0 };
  return unlessRefusedAsync(async () => {
    const source = await openHttpSource(`${server.url}/image.raw`, options);
    const parts: Buffer[] = [];
    for await (const chunk of source.body) parts.push(Buffer.from(chunk));
    return Buffer.concat(parts).toString('latin1');
  });
}

test('whatever a server sends is a file, or refused with an error for users', async () => {
  const anything = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));
  await alwaysAsync(
    fc.oneof({ weight: 4, arbitrary: mutatedBytes(SAMPLES) }, { weight: 1, arbitrary: anything }),
    async (bytes) => {
      answer = bytes;
      await fetched();
    },
    0.25,
  );
});

test(
  'what is taken for a file is the same file to curl, unless curl refuses it',
  async () => {
    let compared = 0;
    await alwaysAsync(
      mutatedBytes(SAMPLES, 3),
      async (bytes) => {
        answer = bytes;
        const ours = await fetched();
        if (ours === undefined) return;
        const theirs = await curl(`${server.url}/image.raw`);
        if (theirs === undefined) return;
        compared++;
        expect(ours).toBe(theirs);
      },
      0.1,
    );
    expect(compared).toBeGreaterThan(10);
  },
  60 * CASES,
);

/** What curl(1) writes; undefined when it fails. Where it takes less than all, it says so with its status. */
async function curl(url: string): Promise<string | undefined> {
  const child = spawn('curl', ['--silent', '--fail', '--max-time', '10', '--noproxy', '*', url]);
  const parts: Buffer[] = [];
  child.stdout.on('data', (part: Buffer) => parts.push(part));
  const status = await new Promise((resolve) => child.on('close', resolve));
  return status === 0 ? Buffer.concat(parts).toString('latin1') : undefined;
}
