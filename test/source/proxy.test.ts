import { afterAll, describe, expect, test } from 'bun:test';
import { parseProxy, proxyFor } from '../../src/source/proxy.ts';
import { CertificateAuthority } from '../fixtures/certificate-authority.ts';
import { freePort } from '../fixtures/daemon.ts';
import { startLighttpd } from '../fixtures/lighttpd.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { startTinyproxy } from '../fixtures/tinyproxy.ts';
import { startWebServer } from '../fixtures/web-server.ts';
import { failureOf, readAll } from './reading.ts';

/** Host and port of the proxy for a URL. */
function chosen(url: string, environment: Record<string, string>, option?: string): string | undefined {
  const proxy = proxyFor(new URL(url), { option, environment });
  return proxy === undefined ? undefined : `${proxy.host}:${proxy.port}`;
}

describe('which proxy', () => {
  test.each<[string, Record<string, string>, string | undefined]>([
    ['http://h/', {}, undefined],
    ['http://h/', { http_proxy: 'http://p:1' }, 'p:1'],
    ['http://h/', { HTTP_PROXY: 'http://p:1' }, 'p:1'],
    ['http://h/', { HTTP_PROXY: 'http://p:1', http_proxy: 'http://q:2' }, 'q:2'],
    ['http://h/', { HTTP_PROXY: 'http://p:1', GATEWAY_INTERFACE: 'CGI/1.1' }, undefined],
    ['http://h/', { HTTP_PROXY: 'http://p:1', REQUEST_METHOD: 'GET' }, undefined],
    ['http://h/', { http_proxy: 'http://p:1', REQUEST_METHOD: 'GET' }, 'p:1'],
    ['http://h/', { https_proxy: 'http://p:1' }, undefined],
    ['https://h/', { http_proxy: 'http://p:1' }, undefined],
    ['https://h/', { https_proxy: 'http://p:1' }, 'p:1'],
    ['https://h/', { HTTPS_PROXY: 'p:1', REQUEST_METHOD: 'GET' }, 'p:1'],
    ['https://h/', { ALL_PROXY: 'http://p:1' }, 'p:1'],
    ['http://h/', { all_proxy: 'http://p:1', http_proxy: '' }, 'p:1'],
    ['http://h/', { http_proxy: 'http://[::1]:3128/' }, '::1:3128'],
    ['http://h/', { http_proxy: 'http://p:80' }, 'p:80'],
    ['http://h/', { http_proxy: 'p' }, 'p:1080'],
  ])('%s with %p', (url, environment, expected) => {
    expect(chosen(url, environment)).toBe(expected);
  });

  test('the option goes before the environment, and empty means none', () => {
    expect(chosen('http://h/', { http_proxy: 'http://p:1' }, 'http://q:2')).toBe('q:2');
    expect(chosen('http://h/', { http_proxy: 'http://p:1' }, '')).toBeUndefined();
  });

  test.each([
    ['http://a.example.com/', 'example.com', true],
    ['http://a.example.com/', '.example.com', true],
    ['http://example.com/', '.EXAMPLE.com', true],
    ['http://badexample.com/', 'example.com', false],
    ['http://a.example.com./', 'x, example.com', true],
    ['http://h/', '*', true],
    ['http://h/', 'a b h', true],
    ['http://10.1.2.3/', '10.0.0.0/8', true],
    ['http://10.1.2.3/', '10.1.2.3', true],
    ['http://11.1.2.3/', '10.0.0.0/8', false],
    ['http://10.1.2.3/', '10.0.0.0/99', false],
    ['http://10.1.2.3/', '10.0.0.0/', false],
    ['http://10.1.2.3/', '2.3', false],
    ['http://[fd00::1]/', 'fd00::/8', true],
    ['http://[fd00::1]/', '[fd00::1]', true],
    ['http://[fd00::1]/', '10.0.0.0/8', false],
    ['http://h/', '', false],
  ])('%s with no_proxy=%s', (url, list, exempt) => {
    for (const name of ['no_proxy', 'NO_PROXY']) {
      const found = chosen(url, { http_proxy: 'http://p:1', [name]: list });
      expect(found).toBe(exempt ? undefined : 'p:1');
      expect(chosen(url, { [name]: list }, 'http://q:2')).toBe(exempt ? undefined : 'q:2');
    }
  });

  test.each(['https://p:1', 'socks5://p:1', 'http://p:1/path', 'http://', 'http://p:99999', 'ftp://p'])(
    '%s is no HTTP proxy',
    (text) => {
      expect(() => parseProxy(text, '$all_proxy')).toThrow('$all_proxy does not name an HTTP proxy: ');
    },
  );

  test('no login of a proxy is ever in a message', () => {
    for (const text of [
      'socks5://user:s3cret@p:1',
      'user:s3cret@p:1/path',
      'http://user:s3/cret@p',
      'socks5://u:s3@cret@p',
    ]) {
      expect(() => parseProxy(text, '--proxy=')).toThrow(/^(?!.*(s3|cret)).*$/);
    }
    expect(parseProxy('http://user:s3cret@p:1', '').shown).toBe('http://p:1');
    expect(parseProxy('user:s3%40cret@p:1', '').authorization).toBe(
      `Basic ${Buffer.from('user:s3@cret').toString('base64')}`,
    );
  });
});

const directory = new TemporaryDirectory();
const root = CertificateAuthority.root();
afterAll(() => {
  directory[Symbol.dispose]();
  root[Symbol.dispose]();
});
directory.write('image.raw', 'the image');
const certificate = root.issue('server');
const through = (option: string) => ({ ca: [root.cert], proxy: { option, environment: {} } });

describe('through tinyproxy', () => {
  test('http is asked for with the whole URL, https through a tunnel', async () => {
    await using proxy = await startTinyproxy();
    await using plain = startWebServer(directory.path);
    await using secure = await startLighttpd(directory.path, { certificate });
    expect(await readAll(`${plain.url}/image.raw?x=1`, through(proxy.url))).toBe('the image');
    expect(plain.lastHeaders().get('via')).toContain('tinyproxy');
    expect(await readAll(`${secure.url}/image.raw`, through(proxy.url))).toBe('the image');
    expect(proxy.requests()).toEqual([`GET ${plain.url}/image.raw?x=1`, `CONNECT 127.0.0.1:${secure.port}`]);
  });

  test('the server is checked as without one', async () => {
    await using proxy = await startTinyproxy();
    const elsewhere = root.issue('elsewhere', { names: 'DNS:www.example.com' });
    await using secure = await startLighttpd(directory.path, { certificate: elsewhere });
    const error = await failureOf(readAll(`${secure.url}/image.raw`, through(proxy.url)));
    expect(error.message).toBe(
      `${secure.url}/image.raw: the server cannot be trusted: its certificate is for another host name: DNS:www.example.com`,
    );
  });

  test('its login is sent to it and to nobody else, and without it the proxy is named', async () => {
    await using proxy = await startTinyproxy('BasicAuth user s3cret');
    await using plain = startWebServer(directory.path);
    await using secure = await startLighttpd(directory.path, { certificate });
    const withLogin = proxy.url.replace('//', '//user:s3cret@');
    for (const { url } of [plain, secure]) {
      expect(await readAll(`${url}/image.raw`, through(withLogin))).toBe('the image');
      expect(await failureOf(readAll(`${url}/image.raw`, through(proxy.url)))).toEqual({
        code: 'proxy-refused',
        message: `${url}/image.raw: the proxy ${proxy.url} wants a login: it answers 407 Proxy Authentication Required`,
        hint: 'put the right one into its URL, as http://USER:PASSWORD@HOST:PORT',
      });
      const wrong = proxy.url.replace('//', '//user:wr0ng@');
      const { message } = await failureOf(readAll(`${url}/image.raw`, through(wrong)));
      expect(message).toContain(`the proxy ${proxy.url}`);
      expect(message).not.toContain('wr0ng');
    }
    expect(plain.lastHeaders().get('proxy-authorization')).toBeNull();
  });

  test('what it refuses is told', async () => {
    await using proxy = await startTinyproxy(
      'ConnectPort 563',
      'FilterDefaultDeny Yes',
      `Filter "${directory.write('filter', 'example\n')}"`,
    );
    await using plain = startWebServer(directory.path);
    const secure = 'https://127.0.0.1:9/image.raw';
    const error = await failureOf(readAll(secure, through(proxy.url)));
    expect(error.code).toBe('proxy-refused');
    expect(error.message).toMatch(
      /^https:\/\/127.0.0.1:9\/image.raw: the proxy http:\/\/127.0.0.1:\d+ refuses to connect to 127.0.0.1:9: it answers 403 /,
    );
    const filtered = await failureOf(readAll(`${plain.url}/image.raw`, through(proxy.url)));
    expect(filtered.code).toBe('http-forbidden');
    expect(filtered.message).toContain(`the server answers 403 Filtered, through the proxy ${proxy.url}`);
  });

  test('a server that it cannot reach is told', async () => {
    await using proxy = await startTinyproxy();
    const port = await freePort();
    const error = await failureOf(readAll(`https://127.0.0.1:${port}/image.raw`, through(proxy.url)));
    expect(error.code).toBe('http-server-error');
    expect(error.message).toStartWith(
      `https://127.0.0.1:${port}/image.raw: the proxy ${proxy.url} cannot reach 127.0.0.1:${port}: it answers 50`,
    );
  });
});

test.each(['http', 'https'])('a proxy that is down is named, for %s', async (scheme) => {
  const proxy = `http://127.0.0.1:${await freePort()}`;
  const error = await failureOf(
    readAll(`${scheme}://h.invalid/x`, through(proxy.replace('//', '//user:s3cret@'))),
  );
  expect(error).toEqual({
    code: 'connection-refused',
    message: `${scheme}://h.invalid/x: the proxy ${proxy} cannot be reached: the connection was refused`,
    hint: 'check the host and the port of the proxy; --proxy= (with nothing behind it) does without one',
  });
});

test('what is no proxy at all is told', async () => {
  using server = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: { data: (socket) => void socket.end('SSH-2.0-OpenSSH_9.2\r\n\r\n') },
  });
  const proxy = `http://127.0.0.1:${server.port}`;
  const { code, message } = await failureOf(readAll('https://h.invalid/x', through(proxy)));
  expect(code).toBe('http-protocol');
  expect(message).toBe(`https://h.invalid/x: what answers as the proxy ${proxy} does not speak HTTP`);
});
