import { afterAll, describe, expect, test } from 'bun:test';
import { CertificateAuthority } from '../fixtures/certificate-authority.ts';
import { startDeafServer } from '../fixtures/deaf-server.ts';
import { type RunOptions, rdpull } from '../fixtures/executable.ts';
import { startLighttpd } from '../fixtures/lighttpd.ts';
import { makeImage } from '../fixtures/served-image.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { startWebServer } from '../fixtures/web-server.ts';

const served = new TemporaryDirectory();
const own = new TemporaryDirectory();
afterAll(() => {
  served[Symbol.dispose]();
  own[Symbol.dispose]();
});
makeImage(served);

async function pull(url: string, args: readonly string[] = [], options: RunOptions = {}) {
  using images = new TemporaryDirectory();
  const command = ['pull', '--verify=no', '--patience=0', `--image-root=${images.path}`, ...args, url];
  const { status, stderr } = await rdpull(command, options);
  return {
    status,
    lines: stderr.split('\n').filter((line) => !line.includes('warning: verify=no')),
    images: images.names(),
  };
}

/** Runs a command on a machine whose /etc/hosts says this. */
function withHosts(...lines: string[]): string[] {
  const file = own.write('hosts', `${lines.join('\n')}\n`);
  return ['unshare', '-m', 'sh', '-c', `mount --bind ${file} /etc/hosts && exec "$@"`, 'sh'];
}

test('a server is reached by its IPv6 address, over http and https', async () => {
  using root = CertificateAuthority.root();
  await using secure = await startLighttpd(served.path, {
    certificate: root.issue('server'),
    address: '::1',
  });
  expect(secure.url).toBe(`https://[::1]:${secure.port}`);
  expect((await pull(`${secure.url}/image.raw`, [`--ca=${root.cert}`])).status).toBe(0);
  const image = Bun.file(served.file('image.raw'));
  const server = Bun.serve({ hostname: '::1', port: 0, fetch: () => new Response(image) });
  expect((await pull(`http://[::1]:${server.port}/image.raw`)).status).toBe(0);
  await server.stop(true);
});

describe('a host with an address of each family', () => {
  test('is reached where nobody answers the IPv6 one, without waiting for it', async () => {
    await using server = startWebServer(served.path);
    const { port } = new URL(server.url);
    await using _ = await startDeafServer('::1', Number(port));
    // The address alone: nobody answers, which takes the whole time that a server has.
    const deaf = Bun.spawn(
      ['timeout', '1', 'python3', '-c', `import socket; socket.create_connection(('::1', ${port}))`],
      {
        stderr: 'ignore',
      },
    );
    expect(await deaf.exited).toBe(124);

    const begun = performance.now();
    const wrapper = withHosts('::1 both.example', '127.0.0.1 both.example');
    const { status, images } = await pull(`http://both.example:${port}/image.raw`, [], { wrapper });
    expect(status).toBe(0);
    expect(images).toContain('image.raw');
    expect(performance.now() - begun).toBeLessThan(15_000);
  });

  test('is reached where the IPv6 one refuses', async () => {
    await using server = startWebServer(served.path);
    const { port } = new URL(server.url);
    const wrapper = withHosts('::1 both.example', '127.0.0.1 both.example');
    expect((await pull(`http://both.example:${port}/image.raw`, [], { wrapper })).status).toBe(0);
  });

  test('is refused where both are', async () => {
    await using server = startWebServer(served.path);
    const { port } = new URL(server.url);
    const wrapper = withHosts('::1 both.example', '127.0.0.2 both.example');
    const { status, lines } = await pull(`http://both.example:${port}/image.raw`, [], { wrapper });
    expect(lines[0]).toBe(`rdpull: error: http://both.example:${port}/image.raw: the connection was refused`);
    expect(status).toBe(10);
  });
});

describe('a link-local address', () => {
  /** A network of its own with one server in it. */
  const wrapper = [
    'unshare',
    '-n',
    'sh',
    '-c',
    `ip link set lo up && ip addr add fe80::1/64 dev lo nodad || exit 99
     python3 -m http.server --bind :: --directory ${served.path} 8080 >/dev/null 2>&1 & server=$!
     for _ in $(seq 100); do ss -Hltn 'sport = 8080' | grep -q . && break; sleep 0.1; done
     "$@"; status=$?; kill $server; exit $status`,
    'sh',
  ];

  test.each(['%25lo', '%lo', '%251'])('with the zone %s is reached', async (zone) => {
    const { status, images } = await pull(`http://[fe80::1${zone}]:8080/image.raw`, [], { wrapper });
    expect(status).toBe(0);
    expect(images).toContain('image.raw');
  });

  test('without one is not, and the message says what is missing', async () => {
    const { status, lines } = await pull('http://[fe80::1]:8080/image.raw', [], { wrapper });
    expect(lines.slice(0, 2)).toEqual([
      'rdpull: error: http://[fe80::1]:8080/image.raw: a link-local address means nothing without the interface it is behind',
      'rdpull: try: name it, as http://[fe80::1%25eth0]/FILE',
    ]);
    expect(status).toBe(2);
  });
});
