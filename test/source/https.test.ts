import { afterAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import tls from 'node:tls';
import { readClientCertificate } from '../../src/source/client-certificate.ts';
import { splitLogin } from '../../src/source/login.ts';
import { CertificateAuthority } from '../fixtures/certificate-authority.ts';
import { startLighttpd } from '../fixtures/lighttpd.ts';
import { startNginx } from '../fixtures/nginx.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { startWebServer } from '../fixtures/web-server.ts';
import { failureOf, readAll } from './reading.ts';

const directory = new TemporaryDirectory();
const root = CertificateAuthority.root();
const stranger = CertificateAuthority.root();
afterAll(() => {
  for (const each of [directory, root, stranger]) each[Symbol.dispose]();
});
directory.write('image.raw', 'the image');
const certificate = root.intermediate('intermediate').issue('server');
const trusted = { ca: [root.cert] };

describe('lighttpd with the certificate of a private CA', () => {
  test('is read from, by name and by address', async () => {
    await using server = await startLighttpd(directory.path, { certificate });
    expect(await readAll(`${server.url}/image.raw`, trusted)).toBe('the image');
    expect(await readAll(`https://localhost:${server.port}/image.raw`, trusted)).toBe('the image');
  });

  test('is refused without that CA, whose name is given', async () => {
    await using server = await startLighttpd(directory.path, { certificate });
    const error = await failureOf(readAll(`${server.url}/image.raw`, { ca: [stranger.cert] }));
    expect(error.code).toBe('tls-untrusted');
    expect(error.message).toBe(
      `${server.url}/image.raw: the server cannot be trusted: its certificate comes from a CA that is not trusted here (CN=intermediate)`,
    );
    expect(error.hint).toStartWith('pass the certificate of its CA with --ca=FILE');
  });

  test('is refused for another host, and the names that it may have are given', async () => {
    const elsewhere = root.issue('elsewhere', { names: 'DNS:www.example.com,IP:192.0.2.1' });
    await using server = await startLighttpd(directory.path, { certificate: elsewhere });
    for (const host of ['127.0.0.1', 'localhost']) {
      const url = `https://${host}:${server.port}/image.raw`;
      const error = await failureOf(readAll(url, trusted));
      expect(error.code).toBe('tls-untrusted');
      expect(error.message).toBe(
        `${url}: the server cannot be trusted: its certificate is for another host name: DNS:www.example.com, IP Address:192.0.2.1`,
      );
      expect(error.hint).toBe(
        'use a name in the URL that the certificate is for, or give the server one for this name',
      );
    }
  });

  test('is refused when the certificate has expired, or that of its CA', async () => {
    const expired = root.issue('expired', { from: '2020-01-01', days: 10 });
    await using server = await startLighttpd(directory.path, { certificate: expired });
    const error = await failureOf(readAll(`${server.url}/image.raw`, trusted));
    expect(error.code).toBe('tls-untrusted');
    expect(error.message).toMatch(
      /: the server cannot be trusted: its certificate has expired: it is valid from 2020-01-01T00:00:00Z to 2020-01-11T00:00:00Z, and the clock of this machine says 20\d\d-[-\d]{5}T[:\d]{8}Z$/,
    );
    expect(error.hint).toBe(
      'if that clock is right, renew the certificate on the server; else set the clock, with date --set=TIME',
    );

    const old = root.intermediate('old', { from: '2020-01-01', days: 10 }).issue('young');
    await using other = await startLighttpd(directory.path, { certificate: old });
    const { message } = await failureOf(readAll(`${other.url}/image.raw`, trusted));
    expect(message).toContain(
      'its certificate has expired: the one of its CA (CN=old) is valid from 2020-01-01T00:00:00Z to',
    );
  });

  test.each(['TLSv1', 'TLSv1.1'])('is refused when it speaks only %s', async (protocol) => {
    await using server = await startLighttpd(directory.path, { certificate, protocol });
    const error = await failureOf(readAll(`${server.url}/image.raw`, trusted));
    expect(error).toEqual({
      code: 'tls-failed',
      message: `${server.url}/image.raw: the server speaks no TLS of version 1.2 or later`,
      hint: 'let the web server speak TLS 1.2 or 1.3: older ones are not safe',
    });
  });

  test('wants a login, and gets it from the URL', async () => {
    await using server = await startLighttpd(directory.path, { certificate, login: 'user:s3cret' });
    expect((await failureOf(readAll(`${server.url}/image.raw`, trusted))).code).toBe('http-unauthorized');
    const { url, login } = splitLogin(`${server.url.replace('//', '//user:s3cret@')}/image.raw`);
    expect(await readAll(url, { ...trusted, login })).toBe('the image');
  });
});

describe('a client certificate', () => {
  const { key, cert } = root.issue('client');
  const pair = readClientCertificate(cert, key);

  test.each(['TLSv1.2', 'TLSv1.3'])('opens lighttpd over %s', async (protocol) => {
    await using server = await startLighttpd(directory.path, { certificate, clientCa: root.cert, protocol });
    const url = `${server.url}/image.raw`;
    const hint = 'name one that it accepts with --cert=FILE and --key=FILE';
    expect((await failureOf(readAll(url, trusted))).hint).toEndWith(hint);
    const clientCertificate = { ...pair, origin: server.url };
    expect(await readAll(url, { ...trusted, clientCertificate })).toBe('the image');
    const other = stranger.issue('other');
    const wrong = { ...readClientCertificate(other.cert, other.key), origin: server.url };
    expect((await failureOf(readAll(url, { ...trusted, clientCertificate: wrong }))).hint).toEndWith(hint);
  });

  test('opens nginx, which otherwise answers 400', async () => {
    await using server = await startNginx(directory.path, { certificate, clientCa: root.cert });
    const url = `${server.url}/image.raw`;
    const error = await failureOf(readAll(url, trusted));
    expect(error.message).toBe(`${url}: the server answers 400 Bad Request`);
    expect(error.hint).toBe(
      'if the server wants a client certificate, name it with --cert=FILE and --key=FILE',
    );
    expect(await readAll(url, { ...trusted, clientCertificate: { ...pair, origin: server.url } })).toBe(
      'the image',
    );
  });

  test('is shown to no other server, not even behind a redirect', async () => {
    await using other = await startNginx(directory.path, { certificate, clientCa: root.cert });
    const tls = {
      key: await Bun.file(certificate.key).text(),
      cert: await Bun.file(certificate.cert).text(),
    };
    await using server = startWebServer(
      directory.path,
      () => Response.redirect(`${other.url}/image.raw`),
      tls,
    );
    const clientCertificate = { ...pair, origin: server.url };
    const error = await failureOf(readAll(`${server.url}/a`, { ...trusted, clientCertificate }));
    expect(error.message).toBe(`${other.url}/image.raw: the server answers 400 Bad Request`);
  });
});

describe('a client certificate is shown to nobody', () => {
  const { key, cert } = root.issue('careful');
  test.each(['TLSv1.2', 'TLSv1.3'] as const)('who is not trusted, over %s', async (version) => {
    const files = stranger.issue(`impostor-${version}`);
    const shown: string[] = [];
    let connections = 0;
    const server = tls.createServer({
      key: fs.readFileSync(files.key),
      cert: fs.readFileSync(files.cert),
      requestCert: true,
      rejectUnauthorized: false,
      maxVersion: version,
    });
    server.on('connection', () => connections++);
    server.on('secureConnection', (socket) => {
      shown.push(String(socket.getPeerCertificate()?.subject?.CN ?? 'none'));
      socket.on('error', () => undefined);
    });
    server.on('tlsClientError', () => undefined);
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('it listens nowhere');
    const url = `https://127.0.0.1:${address.port}`;
    const clientCertificate = { ...readClientCertificate(cert, key), origin: url };
    const error = await failureOf(readAll(`${url}/image.raw`, { ...trusted, clientCertificate }));
    server.close();
    expect(error.code).toBe('tls-untrusted');
    // Once to be refused, once to be looked at.
    expect(connections).toBe(2);
    expect(shown.filter((name) => name !== 'none')).toEqual([]);
  });
});
