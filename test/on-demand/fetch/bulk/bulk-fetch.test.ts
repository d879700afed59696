import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { parseChunkIndex } from '../../../../src/blocks/chunk-index.ts';
import { openChunkStores } from '../../../../src/chunks/chunk-stores.ts';
import { downloadChunked } from '../../../../src/on-demand/chunked-download.ts';
import { fetchInBulk } from '../../../../src/on-demand/fetch/bulk/bulk-fetch.ts';
import type { Location, SourceOptions } from '../../../../src/source/source.ts';
import { DEFAULT_LIMITS } from '../../../../src/transfer/limits.ts';
import { chunksOf, imageToChunk, makeChunks, unpackStore } from '../../../chunks/chunked-image.ts';
import { CertificateAuthority } from '../../../fixtures/certificate-authority.ts';
import { startNginx } from '../../../fixtures/nginx.ts';
import { noiseOf } from '../../../fixtures/noise.ts';
import { type PipelinedCall, startPipeliningServer } from '../../../fixtures/pipelining-server.ts';
import { TemporaryDirectory } from '../../../fixtures/temporary-directory.ts';
import { startWebServer, type WebServer } from '../../../fixtures/web-server.ts';

/** Large enough for the short way, with a hole, and a part that comes twice. */
const IMAGE = imageToChunk(noiseOf(6 * 1024 * 1024));
const site = new TemporaryDirectory();
let index: WebServer;
let chunks: readonly string[];

beforeAll(() => {
  const image = site.write('image.raw', IMAGE);
  makeChunks(site.path, 'image', image);
  makeChunks(site.path, 'plain', image, { store: 'plain.castr', digest: 'sha256' });
  unpackStore(site.file('plain.castr'));
  chunks = chunksOf(site.file('default.castr'));
  index = startWebServer(site.path);
});
afterAll(async () => {
  await index[Symbol.asyncDispose]();
  site[Symbol.dispose]();
});

interface Downloading extends Partial<SourceOptions> {
  readonly name?: string;
  readonly most?: number;
}

/** Downloads the image, the index of which is always there, and expects it to be that. @returns what was said meanwhile */
async function download(
  stores: readonly (string | Location)[],
  { name = 'image', most, ...more }: Downloading = {},
) {
  using directory = new TemporaryDirectory();
  const target = directory.file('image.raw');
  const said: string[] = [];
  const say = (text: string) => void said.push(text);
  const nothing = () => undefined;
  const { received } = await downloadChunked(
    {
      ...{ locations: [{ url: `${index.url}/${name}.caibx`, login: undefined }], seeds: [], target },
      stores: stores.map((store) => (typeof store === 'string' ? { url: store, login: undefined } : store)),
      ...{ verify: { kind: 'no' }, keyrings: [], certificates: [] },
      limits: { ...DEFAULT_LIMITS, ...(most !== undefined && { download: most }) },
      ...{ readOnly: false, force: false, overcommit: false, sideFiles: () => [] },
    },
    {
      ...{ ca: [], login: undefined, signal: new AbortController().signal },
      patience: { milliseconds: 0, notify: say },
      ...more,
    },
    { started: nothing, progress: nothing, converting: nothing, warn: say, explain: nothing },
  );
  expect(fs.readFileSync(target).equals(IMAGE)).toBe(true);
  expect(fs.statSync(target).blocks * 512).toBeLessThan(IMAGE.length - 400_000);
  return { said, received };
}

const contentOf = (asked: string) => fs.readFileSync(path.join(site.path, asked));
const ok = (body: Uint8Array, head = '') =>
  Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n${head}\r\n`), body]);
const MISSING = 'HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot here\n';

/** A server that has all chunks, and answers as `spoilt` says. */
function serve(spoilt: (call: PipelinedCall) => Uint8Array | string | undefined = () => undefined) {
  return startPipeliningServer((call) => {
    const answer = spoilt(call);
    if (answer !== undefined) return answer;
    return fs.existsSync(path.join(site.path, call.path)) ? ok(contentOf(call.path)) : MISSING;
  });
}

test('many chunks are asked for over a few connections, each once, before the answers to those before them', async () => {
  await using server = await serve();
  const { said, received } = await download([`${server.url}/default.castr`]);
  expect(said).toEqual([]);
  expect(server.connections()).toBe(8);
  expect(server.together()).toBeGreaterThan(20);
  expect(server.paths.toSorted()).toEqual(
    chunks
      .filter((each) => server.paths.includes(`/default.castr/${each}`))
      .map((each) => `/default.castr/${each}`),
  );
  expect(received).toBeGreaterThan(6 * 1024 * 1024);
});

test('what the image has twice is asked for once, and all of it is there afterwards, with nothing left to others', async () => {
  await using server = await serve();
  const table = parseChunkIndex(fs.readFileSync(site.file('image.caibx')));
  const numbers = Array.from({ length: table.count }, (_, number) => number);
  expect(numbers.some((number) => !table.isFirst(number))).toBe(true);
  using directory = new TemporaryDirectory();
  const file = directory.write('image.raw', '');
  const fd = fs.openSync(file, 'r+');
  fs.ftruncateSync(fd, IMAGE.length);
  const arrived = Buffer.alloc(IMAGE.length);
  const options = { ca: [], login: undefined, signal: new AbortController().signal };
  using stores = openChunkStores(
    [{ url: `${server.url}/default.castr`, login: undefined }],
    options,
    () => undefined,
  );
  try {
    await fetchInBulk({
      ...{ table, stores, fd, path: file, signal: options.signal, seeds: [], has: () => false },
      arrived: (start, length) => void arrived.fill(1, start, start + length),
    });
  } finally {
    fs.closeSync(fd);
  }
  expect(arrived.indexOf(0)).toBe(-1);
  expect(server.paths.length).toBe(new Set(server.paths).size);
  expect(fs.readFileSync(file).equals(IMAGE)).toBe(true);
});

describe('all of an image comes from', () => {
  test('nginx, which closes a connection behind 7 answers', async () => {
    await using nginx = await startNginx(site.path, { directives: 'keepalive_requests 7;' });
    const { said } = await download([`${nginx.url}/default.castr/`]);
    expect(said).toEqual([]);
  });

  test('a store of chunks that are not packed', async () => {
    await using nginx = await startNginx(site.path);
    const { said } = await download([`${nginx.url}/plain.castr`], { name: 'plain' });
    expect(said).toEqual([]);
  });

  test('a server with TLS', async () => {
    using authority = CertificateAuthority.root();
    await using nginx = await startNginx(site.path, { certificate: authority.issue('localhost') });
    const ca = [authority.cert];
    const { said } = await download([`${nginx.url}/default.castr`], { ca });
    expect(said).toEqual([]);
  });

  test('a server that wants a login', async () => {
    const logins = new Set<string>();
    await using server = await serve(({ head }) => {
      logins.add(/^authorization: (.*)$/im.exec(head)?.[1] ?? 'none');
      return undefined;
    });
    const login = { origin: server.url, authorization: 'Bearer hunter2' };
    await download([{ url: `${server.url}/default.castr`, login }]);
    expect([...logins]).toEqual(['Bearer hunter2']);
    expect(server.together()).toBeGreaterThan(20);
  });

  test('a server that falls silent in the middle of its first connections', async () => {
    const silent = new Set<number>();
    await using server = await serve(({ number, connection }) => {
      if (connection < 2 && number === 1) silent.add(connection);
      else if (!silent.has(connection)) return undefined;
      return number === 1 ? 'HTTP/1.1 200 OK\r\nX: ' : '';
    });
    const { said } = await download([`${server.url}/default.castr`]);
    expect({ said, silent: silent.size }).toEqual({ said: [], silent: 2 });
  });

  test('a server that hangs up on who asks for more than one file at once', async () => {
    await using server = await serve(({ behind, end }) => {
      if (behind > 0) end();
      return undefined;
    });
    const { said } = await download([`${server.url}/default.castr`]);
    expect(said).toEqual([]);
    expect(server.connections()).toBeLessThan(30);
  });

  test.each<[string, (call: PipelinedCall) => Uint8Array | string | undefined]>([
    [
      'a server that mixes up what was asked for at once',
      ({ behind }) => (behind > 0 ? ok(contentOf(`default.castr/${chunks[0]}`)) : undefined),
    ],
    [
      'a server whose answers are longer than they say',
      ({ path: asked, behind }) =>
        behind > 0 ? Buffer.concat([ok(contentOf(asked)), Buffer.from('x')]) : undefined,
    ],
    [
      'a server that sends chunks of HTTP/1.1',
      ({ path: asked }) => {
        const body = contentOf(asked);
        const begin = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n`;
        return Buffer.concat([Buffer.from(begin), body, Buffer.from('\r\n0\r\n\r\n')]);
      },
    ],
    [
      'a server of HTTP/1.0',
      ({ path: asked, end }) => {
        end();
        return ok(contentOf(asked)).toString('latin1').replace('HTTP/1.1', 'HTTP/1.0');
      },
    ],
    [
      'a server that redirects',
      ({ path: asked }) =>
        `HTTP/1.1 302 Found\r\nLocation: ${index.url}${asked}\r\nContent-Length: 0\r\n\r\n`,
    ],
    [
      'a server that has trouble once',
      ({ number, connection }) =>
        number === 3 && connection < 2 ? 'HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n' : undefined,
    ],
  ])('%s', async (_, spoilt) => {
    await using server = await serve((call) => {
      const answer = spoilt(call);
      return typeof answer === 'string' ? Buffer.from(answer, 'latin1') : answer;
    });
    const { said } = await download([`${server.url}/default.castr`]);
    expect(said).toEqual([]);
  });
});

describe('what one store lacks, or has damaged, comes from the next one:', () => {
  test('every third chunk', async () => {
    const hasNot = (asked: string) => chunks.indexOf(asked.replace('/default.castr/', '')) % 3 === 0;
    await using first = await serve(({ path: asked }) => (hasNot(asked) ? MISSING : undefined));
    await using second = await serve();
    const { said } = await download([`${first.url}/default.castr`, `${second.url}/default.castr`]);
    expect(said.filter((text) => !/ answers 404 Not Found; trying again from /.test(text))).toEqual([]);
    expect(new Set(second.paths.filter(hasNot)).size).toBeGreaterThan(50);
  });

  test('the first chunk of all', async () => {
    let first = '';
    await using bad = await serve(({ path: asked }) => {
      first ||= asked;
      return asked.startsWith(first.replace('.cacnk', '')) ? MISSING : undefined;
    });
    await using good = await serve();
    await download([`${bad.url}/default.castr`, `${good.url}/default.castr`]);
    expect(bad.together()).toBeGreaterThan(20);
    expect(good.paths).toEqual([first]);
  });

  test('a chunk that is another one', async () => {
    const bad = `/default.castr/${chunks[5]}`;
    await using first = await serve(({ path: asked }) =>
      asked === bad ? ok(contentOf(`default.castr/${chunks[6]}`)) : undefined,
    );
    await using second = await serve();
    const { said } = await download([`${first.url}/default.castr`, `${second.url}/default.castr`]);
    expect(second.paths).toEqual([bad]);
    expect(said).toEqual([expect.stringMatching(/ is another one: .*; it is fetched again$/)]);
  });

  test('all of them, when the first one is away', async () => {
    await using second = await serve();
    const { said } = await download(['http://127.0.0.1:9/default.castr', `${second.url}/default.castr`]);
    expect(said).toEqual([]);
    expect(second.connections()).toBe(8);
  });
});

describe('a failure is the one that it is:', () => {
  test('a chunk that is nowhere', async () => {
    await using server = await serve(({ path: asked }) =>
      asked.endsWith(chunks[5] ?? '') ? MISSING : undefined,
    );
    await expect(download([`${server.url}/default.castr`])).rejects.toMatchObject({ code: 'chunk-missing' });
  });

  test('a chunk that is another one everywhere', async () => {
    await using server = await serve(({ path: asked }) =>
      asked.endsWith(chunks[5] ?? '') ? ok(noiseOf(3, 1)) : undefined,
    );
    await expect(download([`${server.url}/default.castr`])).rejects.toMatchObject({ code: 'chunk-damaged' });
  });

  test('more bytes than are allowed', async () => {
    await using server = await serve();
    await expect(download([`${server.url}/default.castr`], { most: 2 * 1024 * 1024 })).rejects.toMatchObject({
      code: 'limit-exceeded',
    });
  });

  test('a signal', async () => {
    const ending = new AbortController();
    await using server = await serve(({ number }) => {
      if (number > 10) ending.abort(new Error('the end'));
      return undefined;
    });
    await expect(download([`${server.url}/default.castr`], { signal: ending.signal })).rejects.toThrow(
      'the end',
    );
  });
});
