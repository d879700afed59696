import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import http, { type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { type Finished, rdpull } from '../fixtures/executable.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const served = new TemporaryDirectory();
let url: string;

/** `GET /path RANGE` of every request, in order. */
const requests: string[] = [];

/** Sends `piece` for as long as somebody takes it. */
function endlessly(response: ServerResponse, piece: Uint8Array): void {
  const more = () => {
    while (!response.destroyed && response.write(piece));
  };
  response.writeHead(200);
  response.on('drain', more);
  more();
}

/** One gzip member that holds nothing, many times over. */
const NOTHING = Buffer.concat(Array.from({ length: 3000 }, () => gzipSync('')));

const server = http.createServer((request, response) => {
  const { pathname } = new URL(request.url ?? '/', 'http://h');
  const { range } = request.headers;
  requests.push(`${request.method} ${pathname} ${range ?? ''}`.trimEnd());
  if (pathname === '/endless.raw') return endlessly(response, noiseOf(MIB));
  if (pathname === '/endless-members.raw.gz') return endlessly(response, NOTHING);
  if (pathname === '/claims.raw') {
    response.writeHead(200, { 'content-length': 5 * GIB });
    response.write('x');
    return undefined;
  }
  const [, hops] = /^\/hops\/(\d+)$/.exec(pathname) ?? [];
  if (hops !== undefined) {
    const location = hops === '0' ? '/small.raw' : `/hops/${Number(hops) - 1}`;
    return response.writeHead(302, { location }).end();
  }
  const file = fs.readFileSync(served.file(pathname.slice(1).replace(/^norange-/, '')));
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? [];
  if (pathname.startsWith('/norange-'))
    return response.writeHead(200, { 'content-length': file.length }).end(file);
  if (from === undefined || to === undefined) {
    return response.writeHead(200, { 'content-length': file.length, 'accept-ranges': 'bytes' }).end(file);
  }
  const part = file.subarray(Number(from), Number(to) + 1);
  response.writeHead(206, {
    'content-length': part.length,
    'content-range': `bytes ${from}-${to}/${file.length}`,
  });
  return response.end(part);
});

beforeAll(async () => {
  // 64 MiB of zeros, 64 times over: 4 GiB out of less than 1 MiB.
  const zeros = new Uint8Array(64 * MIB);
  for (const [name, command] of [
    ['bomb.raw.xz', ['xz', '-0', '-c']],
    ['bomb.raw.zst', ['zstd', '-q', '-c']],
    ['bomb.raw.bz2', ['bzip2', '-c']],
    ['bomb.raw.gz', ['gzip', '-c']],
  ] as const) {
    const one = run([...command], { input: zeros });
    served.write(name, Buffer.concat(Array.from({ length: 64 }, () => one)));
  }
  served.write('one.raw.xz', run(['xz', '-0', '-c'], { input: zeros }));
  run(['zstd', '-q', served.write('zeros.raw', zeros), '-o', served.file('one.raw.zst')]);
  served.write('small.raw', noiseOf(MIB, 1));
  run(['gzip', '-k', served.file('small.raw')]);
  served.write('twice.raw.gz', gzipSync(fs.readFileSync(served.file('small.raw.gz'))));
  fs.mkdirSync(served.file('tree/a/b/c'), { recursive: true });
  for (let number = 0; number < 50; number++) served.write(`tree/a/${number}`, '');
  run(['tar', '-cf', served.file('tree.tar'), '-C', served.file('tree'), '.']);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
  served[Symbol.dispose]();
});

/** What a pull says, and what it leaves in its directory. */
async function pull(
  name: string,
  ...options: string[]
): Promise<Finished & { error: string; left: string[] }> {
  using target = new TemporaryDirectory();
  const ended = await rdpull([
    'pull',
    '--verify=no',
    '--quiet',
    '--patience=0',
    `--image-root=${target.path}`,
    ...options,
    `${url}/${name}`,
  ]);
  return { ...ended, error: ended.stderr.split('\n')[0] ?? '', left: target.names() };
}

/** What came of a pull that was refused for a limit. */
async function refused(name: string, ...options: string[]): Promise<string> {
  const { status, error, stderr, left } = await pull(name, ...options);
  expect({ status, left }).toEqual({ status: 12, left: [] });
  expect(stderr).toMatch(/^rdpull: try: find out what the server sends; .* --limit=[a-z]+=VALUE$/m);
  return error.replace(`rdpull: error: ${url}/${name}: `, '');
}

describe('the download', () => {
  test('is refused by its announced length, before any of it is taken', async () => {
    expect(await refused('claims.raw', '--limit=download=4G')).toBe(
      'the server sends 5.0 GiB (5368709120 bytes) or more, and 4.0 GiB (4294967296 bytes) are allowed',
    );
  });

  test('that never ends is ended', async () => {
    expect(await refused('endless.raw', '--limit=download=8M')).toMatch(
      /^the server sends 8\.\d MiB .* or more/,
    );
  });

  test('of endlessly many gzip members with nothing in them is ended', async () => {
    expect(await refused('endless-members.raw.gz', '--limit=download=2M')).toMatch(
      /^the server sends 2\.\d MiB/,
    );
  });

  test('of just as much as is allowed is taken', async () => {
    expect((await pull('small.raw', '--limit=download=1M')).left).toEqual(['small.raw']);
  });
});

describe('the size after decompression', () => {
  test.each(['bomb.raw.xz', 'bomb.raw.zst', 'bomb.raw.gz', 'bomb.raw.bz2'])(
    '4 GiB of zeros are ended: %s',
    async (name) => {
      expect(await refused(name, '--limit=size=256M', '--limit=ratio=1000000')).toMatch(
        /^the file is 25\d MiB \(\d+ bytes\) or more after decompression, and 256 MiB \(268435456 bytes\) are allowed$/,
      );
    },
  );

  test('is learnt from the index of an .xz file, by one further request', async () => {
    requests.length = 0;
    expect(await refused('one.raw.xz', '--limit=size=1M')).toBe(
      'the file is 64.0 MiB (67108864 bytes) or more after decompression, and 1.0 MiB (1048576 bytes) are allowed',
    );
    const { size } = fs.statSync(served.file('one.raw.xz'));
    expect(requests).toEqual(['GET /one.raw.xz', `GET /one.raw.xz bytes=0-${size - 1}`]);
  });

  test('is not asked for where the server sends no parts, and checked as it grows', async () => {
    requests.length = 0;
    expect(await refused('norange-one.raw.xz', '--limit=size=1M')).toStartWith('the file is 2.0 MiB');
    expect(requests).toEqual(['GET /norange-one.raw.xz']);
  });

  test('is not asked for where it does not matter', async () => {
    requests.length = 0;
    expect((await pull('one.raw.xz')).left).toEqual(['one.raw']);
    expect(requests).toEqual(['GET /one.raw.xz']);
  });

  test('is learnt from the header of a zstd frame', async () => {
    expect(await refused('one.raw.zst', '--limit=size=1M')).toStartWith(
      'the file is 64.0 MiB (67108864 bytes)',
    );
  });

  test('of just as much as is allowed is taken', async () => {
    expect((await pull('one.raw.xz', '--limit=size=64M')).left).toEqual(['one.raw']);
  });

  test('is that of one layer: what is compressed twice, or quotes itself, is unpacked once', async () => {
    using target = new TemporaryDirectory();
    await rdpull(['pull', '--verify=no', '--local=x', `--image-root=${target.path}`, `${url}/twice.raw.gz`]);
    const once = fs.readFileSync(served.file('small.raw.gz'));
    expect(fs.readFileSync(target.file('x.raw')).equals(once)).toBe(true);
  });
});

describe('the ratio', () => {
  test.each(['bomb.raw.zst', 'bomb.raw.gz'])('of an image that is all holes is allowed: %s', async (name) => {
    const { status, stderr, left } = await pull(name);
    expect({ status, stderr, left }).toEqual({ status: 0, stderr: '', left: ['bomb.raw'] });
  });

  test('can be lowered, and then counts beyond 1 GiB', async () => {
    expect(await refused('bomb.raw.xz', '--limit=ratio=1000')).toMatch(
      /^\d+ KiB \(\d+ bytes\) of the file become \d\.\d GiB \(\d+ bytes\) or more, and 1000 times as much is allowed$/,
    );
    expect((await pull('one.raw.xz', '--limit=ratio=2')).status).toBe(0);
  });

  test('that only bzip2 comes to is refused', async () => {
    expect(await refused('bomb.raw.bz2')).toMatch(/^\d\.\d KiB .* become 1\.0 GiB .* 50000 times as much/);
  });
});

describe('a tarball', () => {
  test.each([
    ['entries=20', /more than 20/],
    ['depth=2', /2/],
    ['path=4', /4/],
  ])('beyond --limit=%s is refused', async (limit, reason) => {
    const { status, error, stderr, left } = await pull('tree.tar', `--limit=${limit}`);
    expect({ status, left }).toEqual({ status: 12, left: [] });
    expect(error).toMatch(reason);
    expect(stderr).toContain(`allow more with --limit=${limit.replace(/=.*/, '')}=VALUE`);
  });

  test('within them is unpacked', async () => {
    expect((await pull('tree.tar', '--limit=entries=100', '--limit=depth=4')).left).toEqual(['tree']);
  });
});

describe('redirects', () => {
  test('as many as ten are followed, and no more', async () => {
    expect((await pull('hops/9', '--local=x', '--type=raw')).left).toEqual(['x.raw']);
    const { status, error } = await pull('hops/10', '--local=x', '--type=raw');
    expect(status).toBe(11);
    expect(error).toContain('more than 10 redirects');
  });

  test('more can be allowed, or less', async () => {
    expect((await pull('hops/15', '--local=x', '--limit=redirects=16')).left).toEqual(['x.raw']);
    expect((await pull('hops/3', '--local=x', '--limit=redirects=3')).error).toContain(
      'more than 3 redirects',
    );
  });
});
