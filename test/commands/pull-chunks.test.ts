import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { chunksOf, imageToChunk, makeChunks, unpackStore } from '../chunks/chunked-image.ts';
import { bootedMachine } from '../fixtures/booted-machine.ts';
import { startDaemon } from '../fixtures/daemon.ts';
import { type Finished, rdpull } from '../fixtures/executable.ts';
import { sendFile, startFaultServer } from '../fixtures/fault-server.ts';
import { GpgHome } from '../fixtures/gpg.ts';
import { type Nginx, startNginx } from '../fixtures/nginx.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { run } from '../fixtures/run.ts';
import { writeChecksums } from '../fixtures/served-image.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { startWebServer } from '../fixtures/web-server.ts';

const site = new TemporaryDirectory();
const keys = new TemporaryDirectory();
const gpg = new GpgHome();
let nginx: Nginx;
const IMAGE = imageToChunk(noiseOf(1_500_000));

const VARIANTS = {
  image: {},
  sha256: { digest: 'sha256', store: 'sha256.castr' },
  xz: { compression: 'xz', store: 'xz.castr' },
  gzip: { compression: 'gzip', store: 'gzip.castr', digest: 'sha256' },
  plain: { store: 'plain.castr' },
  large: { store: 'large.castr', chunkSize: 524_288 },
} as const;

beforeAll(async () => {
  const raw = keys.write('image.raw', IMAGE);
  for (const [name, options] of Object.entries(VARIANTS)) makeChunks(site.path, name, raw, options);
  unpackStore(site.file('plain.castr'));
  site.write('truncated.caibx', fs.readFileSync(site.file('image.caibx')).subarray(0, 1064));
  site.write('page.caibx', '<!DOCTYPE html>\n<title>Not found</title>\n');
  const indexes = new TemporaryDirectory();
  for (const name of site.names().filter((each) => each.endsWith('.caibx'))) {
    fs.copyFileSync(site.file(name), indexes.file(name));
  }
  const manifest = fs.readFileSync(writeChecksums(indexes));
  indexes[Symbol.dispose]();
  site.write('SHA256SUMS', manifest);
  const key = gpg.generateKey('Image Builder <builder@example.com>');
  keys.write('good.pgp', gpg.exportKeys([key]));
  site.write('SHA256SUMS.gpg', gpg.sign(manifest, { by: key, armor: false }));
  nginx = await startNginx(site.path);
});
afterAll(async () => {
  await nginx[Symbol.asyncDispose]();
  gpg[Symbol.dispose]();
  for (const each of [site, keys]) each[Symbol.dispose]();
});

/** Pulls into `target`; without patience. */
function pull(target: TemporaryDirectory, url: string, ...options: string[]): Promise<Finished> {
  return rdpull(['pull', '--patience=0', `--image-root=${target.path}`, ...options, url], { cwd: keys.path });
}

/** What a person reads of an error, with what changes in it left out. */
function complaint({ stderr }: Finished, url: string): string {
  const lines = stderr.trimEnd().split('\n');
  const error = lines.find((line) => line.startsWith('rdpull: error:')) ?? '';
  return error.replace('rdpull: error: ', '').replaceAll(url, '');
}

/** A chunk of the store that is neither its first nor a hole. */
function someChunk(store = 'default.castr'): string {
  const found = chunksOf(site.file(store)).find(
    (chunk) => fs.statSync(path.join(site.file(store), chunk)).size > 5000,
  );
  if (found === undefined) throw new Error('no chunk is large');
  return found;
}

const digestOf = (chunk: string) => path.basename(chunk, '.cacnk');

describe('an image in chunks becomes the image:', () => {
  test.each(Object.entries(VARIANTS))('%s', async (name, options) => {
    using target = new TemporaryDirectory();
    const store = 'store' in options ? [`--store=${nginx.url}/${options.store}/`] : [];
    const finished = await pull(target, `${nginx.url}/${name}.caibx`, '--keyring=good.pgp', ...store);
    expect(finished.stderr).toContain('signed by Image Builder');
    expect(finished.status).toBe(0);
    expect(finished.stdout).toBe(`${target.file(`${name}.raw`)}\n`);
    expect(target.names()).toEqual([`${name}.raw`]);
    expect(fs.readFileSync(target.file(`${name}.raw`)).equals(IMAGE)).toBe(true);
    // The hole is one, and so is nothing that is data.
    expect(fs.statSync(target.file(`${name}.raw`)).blocks * 512).toBeLessThan(IMAGE.length - 400_000);
  });

  test('from files of this machine', async () => {
    using target = new TemporaryDirectory();
    const finished = await pull(target, `file://${site.path}/image.caibx`, '--verify=checksum');
    expect(finished.status).toBe(0);
    expect(fs.readFileSync(target.file('image.raw')).equals(IMAGE)).toBe(true);
  });

  test('by an expression, whose stores are in it; a script is told the same', async () => {
    using target = new TemporaryDirectory();
    const expression = `raw,machine,verify=no,store=${nginx.url}/none,store=${nginx.url}/sha256.castr:other:${nginx.url}/sha256.caibx`;
    const { stdout, status } = await rdpull(['pull', '--json', `--image-root=${target.path}`, expression]);
    expect(status).toBe(0);
    const json = JSON.parse(stdout);
    const { received, sha256 } = json;
    expect(json).toMatchObject({
      target: target.file('other.raw'),
      url: `${nginx.url}/sha256.caibx`,
      decoded: IMAGE.length,
      compression: 'none',
      format: 'caibx',
    });
    expect(sha256).toBe(
      run(['sha256sum', site.file('sha256.caibx')])
        .toString()
        .slice(0, 64),
    );
    expect(received).toBeGreaterThan(1_400_000);
  });

  test('beside the UKI, where none of the names is there that systemd looks for', async () => {
    using beside = new TemporaryDirectory();
    for (const name of ['image.caibx', 'default.castr']) fs.symlinkSync(site.file(name), beside.file(name));
    await using server = startWebServer(beside.path);
    const wrapper = bootedMachine({
      'StubDeviceURL-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f': `${server.url}/image.efi`,
    });
    using target = new TemporaryDirectory();
    const args = ['pull', `--image-root=${target.path}`, 'raw,machine,verify=no,bootorigin::'];
    expect(await rdpull(args, { wrapper })).toMatchObject({ status: 0 });
    expect(fs.readFileSync(target.file('image.raw')).equals(IMAGE)).toBe(true);
    const names = server.requests.filter((each) => !each.includes('castr')).map((each) => each.split('/')[1]);
    expect([...new Set(names)]).toEqual([
      'image.raw.xz',
      'image.raw.zst',
      'image.raw',
      'image.raw.caibx',
      'image.caibx',
    ]);
  });

  test('a part that it has twice comes once, over a few connections that are kept', async () => {
    const server = await startFaultServer(async (call) => {
      const file = site.file(call.path);
      await sendFile(call, fs.existsSync(file) ? fs.readFileSync(file) : Buffer.alloc(0));
    });
    await using _server = server;
    using target = new TemporaryDirectory();
    const { status, stderr } = await pull(target, `${server.url}/image.caibx`, '--verify=no');
    expect(stderr).toContain('in chunks received');
    expect(status).toBe(0);
    const asked = server.requests.map((head) => /^GET (\S+)/.exec(head)?.[1] ?? '');
    const chunks = asked.filter((each) => each.includes('castr'));
    const table = chunksOf(site.file('default.castr'));
    // All but the hole, and nothing twice.
    expect(new Set(chunks).size).toBe(table.length - 1);
    expect(chunks.length).toBe(table.length - 1);
    expect(server.connections()).toBeLessThanOrEqual(18);
  });
});

test("the README's cache: what one machine has fetched, the next one gets without the origin", async () => {
  using own = new TemporaryDirectory();
  const readme = fs.readFileSync(path.resolve(import.meta.dir, '../../README.md'), 'utf8');
  const [example = ''] = /^proxy_cache_path [^`]*/m.exec(readme) ?? [];
  const [headers = ''] = /^location [^`]*immutable[^`]*/m.exec(readme) ?? [];
  const origin = await startNginx(site.path, { directives: headers });
  await using _origin = origin;
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((what) => `${what}_temp_path ${own.file(what)};`)
    .join(' ');
  const cache = await startDaemon((port) => [
    ...['nginx', '-e', 'stderr', '-c'],
    own.write(
      'nginx.conf',
      `daemon off; master_process off; pid ${own.file('pid')}; events { worker_connections 64; }
       http { access_log off; ${temporary} ${example
         .replace('/var/cache/nginx/chunks', own.file('chunks'))
         .replace('listen 80;', `listen 127.0.0.1:${port};`)
         .replaceAll('http://ORIGIN', origin.url)} }`,
    ),
  ]);
  await using _cache = cache;
  const store = `--store=http://127.0.0.1:${cache.port}/default.castr`;
  for (const isThere of [true, false]) {
    if (!isThere) await origin[Symbol.asyncDispose]();
    using target = new TemporaryDirectory();
    const finished = await pull(target, `file://${site.path}/image.caibx`, '--verify=no', store);
    expect(finished).toMatchObject({ status: 0 });
    expect(fs.readFileSync(target.file('image.raw')).equals(IMAGE)).toBe(true);
  }
  const [chunk = ''] = chunksOf(site.file('default.castr'));
  const answer = await fetch(`http://127.0.0.1:${cache.port}/default.castr/${chunk}`);
  expect(answer.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
});

describe('the index is what was promised before anything is made of it:', () => {
  test('one that was changed after it was signed: no chunk is asked for', async () => {
    const bytes = fs.readFileSync(site.file('image.caibx'));
    bytes[80] = (bytes[80] ?? 0) ^ 1;
    await using server = startWebServer(site.path, (request) =>
      request.url.endsWith('/image.caibx') ? new Response(bytes) : undefined,
    );
    using target = new TemporaryDirectory();
    const finished = await pull(target, `${server.url}/image.caibx`, '--keyring=good.pgp');
    expect(finished.status).toBe(13);
    expect(complaint(finished, server.url)).toContain('/image.caibx');
    expect(server.requests.filter((each) => each.includes('castr'))).toEqual([]);
    expect(target.names()).toEqual([]);
  });

  test('a mirror that has the right one takes over', async () => {
    await using server = startWebServer(site.path, (request) =>
      request.url.endsWith('/image.caibx') ? new Response('another one') : undefined,
    );
    using target = new TemporaryDirectory();
    const mirror = `--mirror=${nginx.url}/image.caibx`;
    const finished = await pull(target, `${server.url}/image.caibx`, '--verify=checksum', mirror);
    expect(finished.status).toBe(0);
    expect(fs.readFileSync(target.file('image.raw')).equals(IMAGE)).toBe(true);
  });

  test.each([
    [
      'truncated',
      12,
      '/truncated.caibx: the index of chunks is damaged: its table does not end where it ends',
    ],
    ['page', 12, '/page.caibx: the index of chunks is damaged: it does not begin as an index of casync does'],
  ])('%s: refused, also by whom it is vouched for', async (name, status, message) => {
    using target = new TemporaryDirectory();
    const finished = await pull(target, `${nginx.url}/${name}.caibx`, '--verify=checksum');
    expect(complaint(finished, nginx.url)).toBe(message);
    expect(finished.status).toBe(status);
    expect(target.names()).toEqual([]);
  });

  test('one that never ends', async () => {
    await using server = startWebServer(site.path, (request) => {
      if (!request.url.endsWith('.caibx')) return undefined;
      const piece = new Uint8Array(1024 * 1024);
      return new Response(new ReadableStream({ pull: (controller) => controller.enqueue(piece) }));
    });
    using target = new TemporaryDirectory();
    const finished = await pull(target, `${server.url}/image.caibx`, '--verify=no');
    expect(complaint(finished, server.url)).toBe(
      '/image.caibx is longer than 41943144 bytes: it is no index of chunks, or one of too many',
    );
    expect(finished.status).toBe(12);
  });

  test('an image that does not fit is refused before a chunk is asked for', async () => {
    await using server = startWebServer(site.path);
    using target = new TemporaryDirectory();
    const finished = await pull(target, `${server.url}/image.caibx`, '--verify=no', '--limit=size=1M');
    expect(complaint(finished, server.url)).toContain('1.0 MiB (1048576 bytes) are allowed');
    expect(finished.status).toBe(12);
    expect(server.requests.filter((each) => each.includes('castr'))).toEqual([]);
  });
});

describe('each chunk is what the index says, or there is no image:', () => {
  const other = noiseOf(20_000, 1);
  /** A server on which one chunk is answered otherwise. */
  const spoilt = (chunk: string, answer: (whole: Buffer) => Response) =>
    startWebServer(site.path, (request) =>
      request.url.endsWith(chunk)
        ? answer(fs.readFileSync(path.join(site.file('default.castr'), chunk)))
        : undefined,
    );

  test('one that is missing', async () => {
    const chunk = someChunk();
    await using server = spoilt(chunk, () => new Response('no', { status: 404 }));
    using target = new TemporaryDirectory();
    const finished = await pull(target, `${server.url}/image.caibx`, '--verify=no');
    expect(complaint(finished, server.url)).toBe(
      `chunk ${digestOf(chunk)} is missing: /default.castr/${chunk}: the server answers 404 Not Found`,
    );
    expect(finished.stderr).toContain('try: upload the chunks before the index, all of them');
    expect(finished.status).toBe(11);
    expect(target.names()).toEqual([]);
  });

  test.each([
    [
      'of other bytes',
      () => run(['zstd', '-q', '-c'], { input: other }),
      /its sha512-256 is|bytes come out of it/,
    ],
    ['cut off', (whole: Buffer) => whole.subarray(0, -7), /it ends after \d+ of \d+ bytes/],
    [
      'with more behind it',
      (whole: Buffer) => Buffer.concat([whole, other]),
      /20000 bytes follow behind its end|more than the \d+ bytes that it can have/,
    ],
    [
      'a page',
      () => Buffer.from('<html>welcome</html>'),
      /20 bytes came, and not \d+, and its sha512-256 is [0-9a-f]{64}/,
    ],
    [
      'endless',
      (whole: Buffer) => Buffer.concat([whole, Buffer.alloc(4_000_000)]),
      /more than the \d+ bytes that it can have/,
    ],
    ['nothing', () => Buffer.alloc(0), /0 bytes came/],
  ])('one that is %s', async (_, spoil, why) => {
    const chunk = someChunk();
    await using server = spoilt(chunk, (whole) => new Response(spoil(whole)));
    using target = new TemporaryDirectory();
    const finished = await pull(target, `${server.url}/image.caibx`, '--verify=no');
    const text = complaint(finished, server.url);
    expect(text).toMatch(why);
    expect(text).toContain(`/default.castr/${chunk}: chunk ${digestOf(chunk)} is another one: `);
    expect(finished.status).toBe(13);
    expect(target.names()).toEqual([]);
  });

  test('a byte that was lost on the way: it comes once more', async () => {
    const chunk = someChunk();
    let times = 0;
    await using server = spoilt(
      chunk,
      (whole) => new Response(times++ === 0 ? whole.subarray(0, 100) : whole),
    );
    using target = new TemporaryDirectory();
    const finished = await pull(target, `${server.url}/image.caibx`, '--verify=no');
    expect(finished.status).toBe(0);
    expect(finished.stderr).toContain('it is fetched again');
    expect(fs.readFileSync(target.file('image.raw')).equals(IMAGE)).toBe(true);
  });

  test('what one store lacks, and what it has spoilt, the next one has', async () => {
    const chunks = chunksOf(site.file('default.castr'));
    await using server = startWebServer(site.path, (request) => {
      const number = chunks.findIndex((chunk) => request.url.endsWith(chunk));
      if (number % 3 === 1) return new Response('no', { status: number % 2 === 0 ? 404 : 403 });
      return number % 3 === 2 && number % 2 === 0 ? new Response(other) : undefined;
    });
    using target = new TemporaryDirectory();
    const finished = await pull(
      target,
      `${nginx.url}/image.caibx`,
      ...['--keyring=good.pgp', `--store=${server.url}/default.castr`, `--store=${nginx.url}/default.castr`],
    );
    expect(finished.status).toBe(0);
    expect(fs.readFileSync(target.file('image.raw')).equals(IMAGE)).toBe(true);
    // What the first store has is asked of it.
    expect(server.requests.length).toBeGreaterThan(chunks.length / 2);
  });

  test('a server that goes away in the middle: the next one takes over, or it is waited for', async () => {
    let answered = 0;
    const server = await startFaultServer(async (call) => {
      answered++;
      if (answered === 40) {
        await server.pause();
        setTimeout(() => void server.resume(), 1500);
        return;
      }
      await sendFile(call, fs.readFileSync(site.file(call.path)));
    });
    await using _server = server;
    using target = new TemporaryDirectory();
    const url = `${server.url}/image.caibx`;
    const finished = await rdpull([
      'pull',
      '--patience=20',
      '--verify=no',
      `--image-root=${target.path}`,
      url,
    ]);
    expect(finished.stderr).toContain('trying again');
    expect(finished.status).toBe(0);
    expect(fs.readFileSync(target.file('image.raw')).equals(IMAGE)).toBe(true);
  });
});

describe('what makes no sense is refused before anything is asked:', () => {
  test.each([
    [['--store=http://h/castr', 'http://h/image.raw'], 'only a file that ends in .caibx has them'],
    [
      ['--store=castr', 'http://h/image.caibx'],
      '--store=castr does not start with http://, https:// or file:/',
    ],
    [
      ['--type=tar', 'http://h/image.caibx'],
      'a file that ends in .caibx is the index of a disk image, and no tarball',
    ],
  ])('%p', async (args, message) => {
    const finished = await rdpull(['pull', ...args]);
    expect(finished.stderr).toContain(message);
    expect(finished.status).toBe(2);
  });

  test('an expression that is for something else is told, and pulled', async () => {
    const finished = await rdpull([
      'check',
      'raw,machine,verify=no,store=http://h/castr:x:file:///nowhere.raw',
    ]);
    expect(finished.stdout + finished.stderr).toContain('"store=" is ignored');
  });
});

test('check looks into the index, and at a few chunks', async () => {
  const expression = `raw,machine,verify=checksum:root:${nginx.url}/image.caibx`;
  const { stdout } = await rdpull(['check', expression]);
  expect(stdout).toContain(`its chunks: ${nginx.url}/default.castr`);
  expect(stdout).toMatch(
    /the index lists \d+ chunks of \d+\.\d KiB on average \(sha512-256\); each is checked when it comes/,
  );
  expect(stdout).toContain('the store has its first and its last chunk');
  const missing = await rdpull(['check', expression.replace(':root:', `,store=${nginx.url}/none:root:`)]);
  expect(missing.stdout).toMatch(/chunk [0-9a-f]{64} is missing: http/);
  expect(missing.status).toBe(11);
});
