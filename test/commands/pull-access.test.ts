import { afterAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { CertificateAuthority } from '../fixtures/certificate-authority.ts';
import { freePort } from '../fixtures/daemon.ts';
import { type RunOptions, rdpull } from '../fixtures/executable.ts';
import { startNginx } from '../fixtures/nginx.ts';
import { makeImage, writeChecksums } from '../fixtures/served-image.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { startTinyproxy } from '../fixtures/tinyproxy.ts';
import { startWebServer } from '../fixtures/web-server.ts';

const served = new TemporaryDirectory();
const root = CertificateAuthority.root();
afterAll(() => {
  served[Symbol.dispose]();
  root[Symbol.dispose]();
});
makeImage(served);
writeChecksums(served);
const certificate = root.issue('server');
const tls = {
  key: fs.readFileSync(certificate.key, 'utf8'),
  cert: fs.readFileSync(certificate.cert, 'utf8'),
};

/** A pull that verifies by SHA256SUMS, so that siblings are asked for, too. */
async function pull(url: string, args: readonly string[] = [], options: RunOptions = {}) {
  using images = new TemporaryDirectory();
  const { status, stdout, stderr } = await rdpull(
    [
      'pull',
      '--verbose',
      '--verify=checksum',
      '--patience=0',
      `--ca=${root.cert}`,
      `--image-root=${images.path}`,
      ...args,
      url,
    ],
    options,
  );
  return {
    status,
    output: stdout + stderr,
    lines: stderr.split('\n'),
    images: images.names().filter((name) => !name.startsWith('.')),
  };
}

/** A server that wants a token, and never says it back. */
function startGuarded(secure = true) {
  return startWebServer(
    served.path,
    (request) =>
      request.headers.get('authorization') === 'Bearer s3cret'
        ? undefined
        : new Response(null, { status: 401 }),
    secure ? tls : undefined,
  );
}

describe('the credential rdpull.bearer', () => {
  const credentials = new TemporaryDirectory();
  afterAll(() => credentials[Symbol.dispose]());
  credentials.write('rdpull.bearer', 's3cret\n');
  const env = { CREDENTIALS_DIRECTORY: credentials.path };

  test('of the unit opens the server of the image and of its checksums, and is never printed', async () => {
    await using server = startGuarded();
    const { status, output, images } = await pull(`${server.url}/image.raw`, ['--json'], { env });
    expect(status).toBe(0);
    expect(images).toEqual(['image.raw']);
    expect(server.requests).toContain('GET /SHA256SUMS');
    expect(output).not.toContain('s3cret');
  });

  test('of the system is taken where the unit has none', async () => {
    await using server = startGuarded();
    const wrapper = [
      'unshare',
      '-m',
      'sh',
      '-c',
      'mkdir -p /run/credentials && mount -t tmpfs tmpfs /run/credentials && mkdir /run/credentials/@system && printf s3cret >/run/credentials/@system/rdpull.bearer && exec "$@"',
      'sh',
    ];
    expect((await pull(`${server.url}/image.raw`, [], { wrapper })).status).toBe(0);
    expect((await pull(`${server.url}/image.raw`)).status).toBe(11);
  });

  test('is not sent over http, with one warning', async () => {
    await using server = startGuarded(false);
    const url = `${server.url}/image.raw`;
    const { status, output, lines } = await pull(url, [], { env });
    expect(status).toBe(11);
    expect(server.lastHeaders().get('authorization')).toBeNull();
    expect(lines.filter((line) => line.startsWith('rdpull: warning:'))).toEqual([
      `rdpull: warning: the credential rdpull.bearer is not sent to ${url}: only over https is it safe from those on the way`,
    ]);
    expect(output).not.toContain('s3cret');
  });
});

describe('options are checked before anything is done', () => {
  test.each<[readonly string[], string]>([
    [['--key=/k'], '--key=FILE is for a certificate, and none was given'],
    [['--cert=/no/such'], '--cert=/no/such cannot be read: there is no such file'],
    [
      ['--bearer=/a', '--login=/b'],
      '--bearer=FILE and --login=FILE exclude each other: a request has one of them',
    ],
    [['--bearer=/no/such'], '--bearer=/no/such cannot be used: there is no such file'],
    [['--proxy=socks5://user:s3cret@h'], '--proxy= does not name an HTTP proxy: socks5://h'],
    [['--cert='], '--cert needs a value: --cert=FILE'],
  ])('%p', async (args, message) => {
    await using server = startWebServer(served.path, undefined, tls);
    const { status, lines } = await pull(`${server.url}/image.raw`, args);
    expect(lines[0]).toBe(`rdpull: error: ${message}`);
    expect(status).toBe(2);
    expect(server.requests).toEqual([]);
  });

  test('a certificate is not for http', async () => {
    const { key, cert } = root.issue('client');
    const { status, lines } = await pull('http://127.0.0.1:9/image.raw', [`--cert=${cert}`, `--key=${key}`]);
    expect(lines[0]).toBe('rdpull: error: --cert=FILE is for https, and http://127.0.0.1:9/image.raw is not');
    expect(status).toBe(2);
  });
});

test('a client certificate opens the server of the image and of its checksums', async () => {
  await using server = await startNginx(served.path, { certificate, clientCa: root.cert });
  const { key, cert } = root.issue('client');
  const { status, images } = await pull(`${server.url}/image.raw`, [`--cert=${cert}`, `--key=${key}`]);
  expect(status).toBe(0);
  expect(images).toEqual(['image.raw']);
});

describe('a proxy', () => {
  test('of the environment is used for all that is asked for, and its login is never printed', async () => {
    await using proxy = await startTinyproxy('BasicAuth user s3cret');
    await using server = startWebServer(served.path);
    const env = { HTTP_PROXY: proxy.url.replace('//', '//user:s3cret@') };
    const { status, output } = await pull(`${server.url}/image.raw`, [], { env });
    expect(status).toBe(0);
    expect(output).not.toContain('s3cret');
    expect(proxy.requests()).toContain(`GET ${server.url}/SHA256SUMS`);
    expect(proxy.requests()).toContain(`GET ${server.url}/image.raw`);
  });

  test('of the option goes before it; an empty one means none', async () => {
    await using proxy = await startTinyproxy();
    await using server = startWebServer(served.path, undefined, tls);
    const dead = `http://127.0.0.1:${await freePort()}`;
    const env = { https_proxy: dead };
    const url = `${server.url}/image.raw`;
    expect((await pull(url, [], { env })).lines.find((line) => line.includes('error:'))).toBe(
      `rdpull: error: ${server.url}/image.raw.sha256: the proxy ${dead} cannot be reached: the connection was refused`,
    );
    expect((await pull(url, [`--proxy=${proxy.url}`], { env })).status).toBe(0);
    expect(proxy.requests()).not.toEqual([]);
    expect((await pull(url, ['--proxy='], { env })).status).toBe(0);
    expect((await pull(url, [], { env: { ...env, NO_PROXY: '127.0.0.0/8' } })).status).toBe(0);
  });
});
