import { afterAll, describe, expect, test } from 'bun:test';
import type { X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import { certificatesOf, wouldBeTrusted } from '../../src/source/certificate-path.ts';
import { CertificateAuthority, type CertificateOptions } from '../fixtures/certificate-authority.ts';

const FROM = '2020-01-01';
const TIME = new Date('2020-06-01T00:00:00Z');
const LONG = { from: FROM, days: 3650 };
const CA = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign'];

const root = CertificateAuthority.root(LONG);
const roots: CertificateAuthority[] = [root];
afterAll(() => {
  for (const each of roots) each[Symbol.dispose]();
});
const otherRoot = () => {
  const other = CertificateAuthority.root(LONG);
  roots.push(other);
  return other;
};
const read = (file: string) => certificatesOf([fs.readFileSync(file, 'utf8')]);
const anchors = read(root.cert);

let serial = 0;
/** What a server would show whose certificate was issued by `authority`. */
function shown(authority: CertificateAuthority, options: CertificateOptions = {}): X509Certificate[] {
  return read(authority.issue(`server-${serial++}`, { ...LONG, ...options }).cert);
}
function authority(extensions: readonly string[], above = root, options: CertificateOptions = {}) {
  return above.intermediate(`authority-${serial++}`, { ...LONG, ...options, extensions });
}
function isTrusted(
  certificates: readonly X509Certificate[],
  { host = 'localhost', time = TIME, trusted = anchors } = {},
) {
  return wouldBeTrusted({ certificates, host }, trusted, time);
}

describe('a server is trusted', () => {
  test.each(['localhost', '127.0.0.1', '::1'])('whose certificate the CA issued for %s', (host) => {
    expect(isTrusted(shown(root), { host })).toBe(true);
  });

  test('through intermediate authorities, in any order, with the root among them or not', () => {
    const [own, ...others] = shown(authority(CA, authority(CA)));
    expect(others.length).toBe(2);
    if (own === undefined) throw new Error('no certificate');
    expect(isTrusted([own, ...others])).toBe(true);
    expect(isTrusted([own, ...anchors, ...others.reverse()])).toBe(true);
    expect(isTrusted([own])).toBe(false);
    const chain = shown(
      authority(['basicConstraints=critical,CA:TRUE,pathlen:0', 'keyUsage=critical,keyCertSign']),
    );
    expect(chain.length).toBe(2);
    expect(isTrusted(chain)).toBe(true);
  });

  test('whose own certificate is the one to trust', () => {
    const [own] = shown(otherRoot());
    expect(own !== undefined && isTrusted([own], { trusted: [own] })).toBe(true);
  });

  test('with RSA, SHA-384 and the purposes of a server', () => {
    const algorithm = ['-newkey', 'rsa:2048'];
    const extensions = ['extendedKeyUsage=serverAuth,clientAuth', 'keyUsage=critical,digitalSignature'];
    expect(isTrusted(shown(root, { algorithm, digest: 'sha384', extensions }))).toBe(true);
  });
});

describe('a server is not trusted', () => {
  test('by a CA that is not known, or by none', () => {
    expect(isTrusted(shown(otherRoot()))).toBe(false);
    expect(isTrusted(shown(root), { trusted: [] })).toBe(false);
    expect(isTrusted([])).toBe(false);
  });

  test('by another CA of the same name, whose signature is another', () => {
    const impostor = otherRoot();
    expect(read(impostor.cert)[0]?.subject).toBe(anchors[0]?.subject ?? 'none');
    expect(isTrusted([...shown(impostor), ...read(impostor.cert)])).toBe(false);
  });

  test('under another name, and never by its common name', () => {
    expect(isTrusted(shown(root), { host: 'example.com' })).toBe(false);
    expect(isTrusted(shown(root), { host: '127.0.0.2' })).toBe(false);
    const [own] = shown(root, { names: 'DNS:a.example' });
    const name = own?.subject.replace(/^CN=/, '') ?? '';
    expect(own !== undefined && isTrusted([own], { host: name })).toBe(false);
  });

  test('before and after its certificate is valid, or that of an authority above it', () => {
    for (const time of ['2019-12-31T23:59:59Z', '2030-06-01T00:00:00Z']) {
      expect(isTrusted(shown(root), { time: new Date(time) })).toBe(false);
    }
    expect(isTrusted(shown(root, { days: 10 }))).toBe(false);
    expect(isTrusted(shown(authority(CA, root, { days: 10 })))).toBe(false);
    const old = CertificateAuthority.root({ from: FROM, days: 10 });
    roots.push(old);
    expect(isTrusted(shown(old), { trusted: read(old.cert) })).toBe(false);
  });

  test.each([
    ['no authority', ['basicConstraints=critical,CA:FALSE']],
    ['without basicConstraints', ['keyUsage=critical,keyCertSign']],
    ['not to sign certificates', ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,digitalSignature']],
    ['for mail alone', [...CA, 'extendedKeyUsage=emailProtection']],
    ['constrained to names', [...CA, 'nameConstraints=critical,permitted;DNS:localhost']],
    [
      'constrained to names, which is not marked as critical',
      [...CA, 'nameConstraints=permitted;DNS:example.com'],
    ],
    ['with a critical extension that nobody knows', [...CA, '1.2.3.4=critical,ASN1:NULL']],
  ])('by an intermediate that is %s', (_, extensions) => {
    const chain = shown(authority(extensions));
    expect(chain.length).toBe(2);
    expect(isTrusted(chain)).toBe(false);
  });

  test('by more authorities than one of them allows', () => {
    const limited = authority([
      'basicConstraints=critical,CA:TRUE,pathlen:0',
      'keyUsage=critical,keyCertSign',
    ]);
    const below = authority(CA, limited);
    expect(isTrusted([...shown(below), ...read(limited.cert)])).toBe(false);
    const free = authority(CA);
    expect(isTrusted([...shown(authority(CA, free)), ...read(free.cert)])).toBe(true);
  });

  test.each<[string, CertificateOptions]>([
    ['is for clients', { extensions: ['extendedKeyUsage=clientAuth'] }],
    ['is for encryption of keys alone', { extensions: ['keyUsage=critical,keyEncipherment'] }],
    ['has a critical extension that nobody knows', { extensions: ['1.2.3.4=critical,ASN1:NULL'] }],
    ['is signed with SHA-1', { digest: 'sha1' }],
    ['has an RSA key of 1024 bits', { algorithm: ['-newkey', 'rsa:1024'] }],
  ])('when its certificate %s', (_, options) => {
    expect(isTrusted(shown(root, options))).toBe(false);
  });
});
