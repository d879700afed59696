import { afterAll, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { readClientCertificate } from '../../src/source/client-certificate.ts';
import { CertificateAuthority, type CertificateOptions } from '../fixtures/certificate-authority.ts';
import { startLighttpd } from '../fixtures/lighttpd.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { failureOf } from './reading.ts';

const directory = new TemporaryDirectory();
const root = CertificateAuthority.root();
afterAll(() => {
  directory[Symbol.dispose]();
  root[Symbol.dispose]();
});
const { cert, key } = root.issue('client');
const refusal = (certFile: string, keyFile?: string) =>
  failureOf(Promise.resolve().then(() => readClientCertificate(certFile, keyFile)));

test('certificate and key may be two files, or one', () => {
  const both = directory.write('both.pem', `${fs.readFileSync(cert, 'utf8')}${fs.readFileSync(key, 'utf8')}`);
  expect(readClientCertificate(cert, key).key).toBe(fs.readFileSync(key, 'utf8'));
  expect(readClientCertificate(both, undefined).cert).toBe(fs.readFileSync(both, 'utf8'));
});

test('an RSA key in the old form is taken, too', () => {
  const rsa = root.issue('rsa', { algorithm: ['-newkey', 'rsa:2048'] });
  const old = directory.file('old.key');
  run(['openssl', 'rsa', '-traditional', '-in', rsa.key, '-out', old]);
  expect(fs.readFileSync(old, 'utf8')).toStartWith('-----BEGIN RSA PRIVATE KEY-----');
  expect(readClientCertificate(rsa.cert, old).cert).toBe(fs.readFileSync(rsa.cert, 'utf8'));
});

test('a file that is missing is named', async () => {
  expect((await refusal('/no/such.pem', key)).message).toBe(
    '--cert=/no/such.pem cannot be read: there is no such file',
  );
  const error = await refusal(cert, '/no/such.key');
  expect(error.code).toBe('credential-unusable');
  expect(error.message).toBe('--key=/no/such.key cannot be read: there is no such file');
});

test('an encrypted key is refused, in both forms', async () => {
  const encrypted = directory.file('encrypted.key');
  run(['openssl', 'pkey', '-aes256', '-passout', 'pass:secret', '-in', key, '-out', encrypted]);
  const old = directory.file('encrypted-old.key');
  run(['openssl', 'ec', '-aes256', '-passout', 'pass:secret', '-in', key, '-out', old]);
  for (const file of [encrypted, old]) {
    const { message, hint } = await refusal(cert, file);
    expect(message).toBe(
      `the private key in ${file} is encrypted, and nobody is there to be asked for its passphrase`,
    );
    expect(hint).toContain('openssl pkey');
  }
});

test('a key of another certificate is refused', async () => {
  const other = root.issue('other');
  expect((await refusal(cert, other.key)).message).toBe(
    `the private key in ${other.key} does not belong to the certificate in ${cert}`,
  );
});

test('files that hold something else are refused, and nothing of them is quoted', async () => {
  expect((await refusal(key, key)).message).toContain('holds no certificate in PEM form');
  expect((await refusal(cert)).message).toContain('holds no private key in PEM form');
  const damaged = directory.write(
    'damaged.key',
    '-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n',
  );
  expect((await refusal(cert, damaged)).message).toBe(`the private key in ${damaged} is damaged`);
});

test.each<[string, string, CertificateOptions]>([
  ['an RSA key of 1024 bits', 'short', { algorithm: ['-newkey', 'rsa:1024'] }],
  ['a signature with ecdsa-with-SHA1', 'sha1', { digest: 'sha1' }],
])('a certificate with %s is refused, as curl on Debian refuses it', async (what, name, options) => {
  const weak = root.issue(name, options);
  const { code, message } = await refusal(weak.cert, weak.key);
  expect(code).toBe('credential-unusable');
  expect(message).toBe(
    `the certificate in ${weak.cert} has ${what}: servers and curl refuse that, because it can be forged`,
  );
  await using server = await startLighttpd(directory.path, { certificate: root.issue(`server-${name}`) });
  const curl = ['curl', '--silent', '--cacert', root.cert, `${server.url}/both.pem`];
  expect(spawnSync('env', curl).status).toBe(0);
  // CURLE_SSL_CERTPROBLEM
  expect(spawnSync('env', [...curl, '--cert', weak.cert, '--key', weak.key]).status).toBe(58);
});
