import { afterAll, describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import type tls from 'node:tls';
import { dial } from '../../src/source/dial.ts';
import { secureConnection } from '../../src/source/secure-connection.ts';
import { CertificateAuthority, type CertificateFiles } from '../fixtures/certificate-authority.ts';
import { startLighttpd } from '../fixtures/lighttpd.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { failureOf } from './reading.ts';

/** Who accepts a server. */
interface Verdicts {
  readonly rdpull: boolean;
  readonly curl: boolean;
  readonly openssl: boolean;
}

interface Case {
  readonly certificate: CertificateFiles;
  /** The file of certificates that are trusted. */
  readonly ca: string;
  /** As it is written in the URL; `localhost` if absent. All names lead to this machine. */
  readonly host?: string;
  /** The end of what rdpull says; absent where it accepts the server. */
  readonly refused?: string;
}

const directory = new TemporaryDirectory();
const root = CertificateAuthority.root();
const stranger = CertificateAuthority.root();
const others: CertificateAuthority[] = [root, stranger];
afterAll(() => {
  for (const each of [directory, ...others]) each[Symbol.dispose]();
});
directory.write('image.raw', 'the image');

const CA = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign'];
const PAST = { from: '2020-01-01', days: 10 };
const FUTURE = { from: '2060-01-01', days: 10 };
const RSA_1024 = ['-newkey', 'rsa:1024'];
const RSA = ['-newkey', 'rsa:2048'];

let made = 0;
const unique = (name: string) => `${name}-${made++}`;
const above = root.intermediate('above');
const authority = (extensions: readonly string[], issuer = root) =>
  issuer.intermediate(unique('authority'), { extensions });
const constrained = (constraint: string) =>
  authority([...CA, `nameConstraints=${constraint}`]).issue(unique('server'), { names: 'DNS:localhost' });
function otherRoot(...options: Parameters<typeof CertificateAuthority.root>): CertificateAuthority {
  const other = CertificateAuthority.root(...options);
  others.push(other);
  return other;
}
/** The server's own certificate with other certificates behind it. */
function withChain(certificate: CertificateFiles, ...chain: readonly string[]): CertificateFiles {
  const [own = ''] = pems(run(['cat', certificate.cert]).toString());
  const cert = directory.write(unique('chain'), [own, ...chain].join('\n'));
  return { key: certificate.key, cert };
}
function pems(bundle: string): string[] {
  return bundle.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----\n/g) ?? [];
}
function selfSigned(...extensions: readonly string[]): CertificateFiles {
  const name = unique('self-signed');
  const files = { key: directory.file(`${name}.key`), cert: directory.file(`${name}.pem`) };
  const wanted = ['subjectAltName=DNS:localhost', ...extensions].flatMap((each) => ['-addext', each]);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', files.key];
  // Without a configuration, nothing makes it a CA.
  run([
    'openssl',
    'req',
    '-x509',
    '-config',
    minimal,
    ...key,
    '-out',
    files.cert,
    '-subj',
    '/CN=x',
    ...wanted,
  ]);
  return files;
}
const minimal = directory.write('openssl.cnf', '[req]\ndistinguished_name=name\n[name]\n');

const old = root.intermediate('renewed', PAST);
const renewed = root.intermediate(unique('again'), { as: old });
const limited = authority(['basicConstraints=critical,CA:TRUE,pathlen:0', 'keyUsage=critical,keyCertSign']);
const weakRoot = () => otherRoot({ algorithm: RSA_1024 });
/** Below a root that is not trusted, with an intermediate that has expired before a valid one. */
function renewedByStranger(): CertificateFiles {
  const before = stranger.intermediate(unique('strange'), PAST);
  const after = stranger.intermediate(unique('strange'), { as: before });
  return withChain(
    after.issue(unique('server')),
    before.chain,
    after.chain,
    run(['cat', stranger.cert]).toString(),
  );
}

const trusted = { ca: root.cert };
const UNKNOWN_CA = 'its certificate comes from a CA that is not trusted here (';
const OTHER_USE = 'its certificate may not be used for this (';
const NO_AUTHORITY = 'its certificate was issued by one that is not a CA (';
const CONSTRAINED = 'its CA may not issue certificates for this name (name constraints) (';

const CASES: Readonly<Record<string, () => Case>> = {
  'of a root': () => ({ ...trusted, certificate: root.issue(unique('server')) }),
  'of an intermediate': () => ({ ...trusted, certificate: above.issue(unique('server')) }),
  'by its address': () => ({ ...trusted, certificate: above.issue(unique('server')), host: '127.0.0.1' }),
  'of an intermediate that is sent twice, with the root': () => ({
    ...trusted,
    certificate: withChain(
      above.issue(unique('server')),
      above.chain,
      above.chain,
      run(['cat', root.cert]).toString(),
    ),
  }),
  'of an intermediate that may have none below it': () => ({
    ...trusted,
    certificate: limited.issue(unique('server')),
  }),
  'for servers': () => ({
    ...trusted,
    certificate: authority([...CA, 'extendedKeyUsage=serverAuth']).issue(unique('server'), {
      extensions: ['extendedKeyUsage=serverAuth,clientAuth', 'keyUsage=critical,digitalSignature'],
    }),
  }),
  'for all names of a domain': () => ({
    ...trusted,
    certificate: root.issue(unique('server'), { names: 'DNS:*.x.localhost' }),
    host: 'a.x.localhost',
  }),
  'of an intermediate for these names': () => ({
    ...trusted,
    certificate: constrained('critical,permitted;DNS:localhost'),
  }),
  'with an Ed25519 key': () => ({
    ...trusted,
    certificate: root.issue(unique('server'), { algorithm: ['-newkey', 'ed25519'] }),
  }),
  'with RSA and SHA-384': () => ({
    ...trusted,
    certificate: root.issue(unique('server'), { algorithm: RSA, digest: 'sha384' }),
  }),
  'that is self-signed and trusted itself': () => {
    const certificate = selfSigned();
    return { certificate, ca: certificate.cert };
  },
  'that is trusted itself, without its CA': () => {
    const certificate = above.issue(unique('server'));
    return { certificate, ca: withChain(certificate).cert };
  },
  'of an intermediate that is trusted itself': () => ({
    certificate: above.issue(unique('server')),
    ca: above.cert,
  }),
  'of an intermediate, of whose two certificates the first has expired': () => ({
    ...trusted,
    certificate: withChain(renewed.issue(unique('server')), old.chain, renewed.chain),
  }),
  'of a root with a signature of SHA-1': () => {
    const sha1 = otherRoot({ algorithm: RSA, digest: 'sha1' });
    return { certificate: sha1.issue(unique('server')), ca: sha1.cert };
  },
  'with a weak certificate behind it that is not its issuer': () => ({
    ...trusted,
    certificate: withChain(
      above.issue(unique('server')),
      root.intermediate(unique('weak'), { algorithm: RSA_1024 }).chain,
      above.chain,
    ),
  }),
  'of a trusted root that somebody else has signed with SHA-1': () => {
    const cross = stranger.intermediate(unique('cross'), { as: root, digest: 'sha1' });
    return { ...trusted, certificate: withChain(above.issue(unique('server')), above.chain, cross.chain) };
  },

  'of an unknown CA': () => ({
    ...trusted,
    certificate: stranger.issue(unique('server')),
    refused: `${UNKNOWN_CA}CN=rdpull test root)`,
  }),
  'of an unknown intermediate': () => ({
    ...trusted,
    certificate: withChain(above.issue(unique('server'))),
    refused: `${UNKNOWN_CA}CN=above)`,
  }),
  'that is self-signed': () => ({
    ...trusted,
    certificate: selfSigned(),
    refused: 'its certificate is self-signed (CN=x)',
  }),
  'for another host': () => ({
    ...trusted,
    certificate: root.issue(unique('server'), { names: 'DNS:www.example.com' }),
    refused: 'its certificate is for another host name: DNS:www.example.com',
  }),
  'for an address that is written as a name': () => ({
    ...trusted,
    certificate: root.issue(unique('server'), { names: 'DNS:127.0.0.1' }),
    host: '127.0.0.1',
    refused: 'its certificate is for another host name: DNS:127.0.0.1',
  }),
  'for all names there are': () => ({
    ...trusted,
    certificate: root.issue(unique('server'), { names: 'DNS:*' }),
    refused: 'its certificate is for another host name: DNS:*',
  }),
  'for names one level above': () => ({
    ...trusted,
    certificate: root.issue(unique('server'), { names: 'DNS:*.x.localhost' }),
    host: 'b.a.x.localhost',
    refused: 'its certificate is for another host name: DNS:*.x.localhost',
  }),
  'that has expired': () => ({
    ...trusted,
    certificate: root.issue(unique('server'), PAST),
    refused:
      'its certificate has expired: it is valid from 2020-01-01T00:00:00Z to 2020-01-11T00:00:00Z, and',
  }),
  'that begins later': () => ({
    ...trusted,
    certificate: root.issue(unique('server'), FUTURE),
    refused: 'its certificate is not valid yet: it is valid from 2060-01-01T00:00:00Z to',
  }),
  'of an intermediate that has expired': () => ({
    ...trusted,
    certificate: old.issue(unique('server')),
    refused:
      'its certificate has expired: the one of its CA (CN=renewed) is valid from 2020-01-01T00:00:00Z to',
  }),
  'of a root that has expired': () => {
    const expired = otherRoot(PAST);
    return {
      certificate: expired.issue(unique('server')),
      ca: expired.cert,
      refused: 'its certificate has expired: the one of its CA (CN=rdpull test root) is valid from',
    };
  },
  'of a stranger who shows an expired intermediate, a valid one and his root': () => ({
    ca: above.cert,
    certificate: renewedByStranger(),
    refused: 'its certificate has expired: the one of its CA (CN=strange-',
  }),
  'for clients': () => ({
    ...trusted,
    certificate: root.issue(unique('server'), { extensions: ['extendedKeyUsage=clientAuth'] }),
    refused: `${OTHER_USE}CN=rdpull test root)`,
  }),
  'for signing certificates alone': () => ({
    ...trusted,
    certificate: root.issue(unique('server'), { extensions: ['keyUsage=critical,keyCertSign'] }),
    refused: OTHER_USE.slice(0, -2),
  }),
  'of an intermediate for clients': () => ({
    ...trusted,
    certificate: authority([...CA, 'extendedKeyUsage=clientAuth']).issue(unique('server')),
    refused: OTHER_USE,
  }),
  'of an intermediate that is no CA': () => ({
    ...trusted,
    certificate: authority(['basicConstraints=critical,CA:FALSE']).issue(unique('server')),
    refused: OTHER_USE,
  }),
  'of an intermediate that may not sign certificates': () => ({
    ...trusted,
    certificate: authority(['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,digitalSignature']).issue(
      unique('server'),
    ),
    refused: UNKNOWN_CA,
  }),
  'of more intermediates than allowed': () => ({
    ...trusted,
    certificate: authority(CA, limited).issue(unique('server')),
    refused: NO_AUTHORITY,
  }),
  'of an intermediate for other names': () => ({
    ...trusted,
    certificate: constrained('critical,permitted;DNS:example.com'),
    refused: CONSTRAINED,
  }),
  'of an intermediate for all but this name': () => ({
    ...trusted,
    certificate: constrained('excluded;DNS:localhost'),
    refused: CONSTRAINED,
  }),
  'with a critical extension that nobody knows': () => ({
    ...trusted,
    certificate: root.issue(unique('server'), { extensions: ['1.2.3.4=critical,ASN1:NULL'] }),
    refused: 'its certificate demands what nobody here knows (a critical extension) (',
  }),
  'with a bad signature': () => {
    const certificate = root.issue(unique('server'));
    const der = run(['openssl', 'x509', '-in', certificate.cert, '-outform', 'DER']);
    der.writeUInt8(der.readUInt8(der.length - 1) ^ 1, der.length - 1);
    const changed = run(['openssl', 'x509', '-inform', 'DER'], { input: der }).toString();
    const cert = directory.write(unique('changed'), changed);
    return {
      ...trusted,
      certificate: { key: certificate.key, cert },
      refused: 'the signature of its certificate is bad (CN=rdpull test root)',
    };
  },
  'with 1024 bits of RSA': () => ({
    ...trusted,
    certificate: root.issue(unique('server'), { algorithm: RSA_1024 }),
    refused: 'its certificate has an RSA key of 1024 bits, which can be forged',
  }),
  'of an intermediate with 1024 bits of RSA': () => ({
    ...trusted,
    certificate: root.intermediate('weak', { algorithm: RSA_1024 }).issue(unique('server')),
    refused: 'the certificate CN=weak has an RSA key of 1024 bits, which can be forged',
  }),
  'of a root with 1024 bits of RSA': () => {
    const weak = weakRoot();
    return {
      certificate: weak.issue(unique('server')),
      ca: weak.cert,
      refused: 'the certificate CN=rdpull test root has an RSA key of 1024 bits, which can be forged',
    };
  },
  'of a root with 1024 bits of RSA, hidden behind another': () => {
    const weak = weakRoot();
    return {
      certificate: withChain(weak.issue(unique('server')), run(['cat', stranger.cert]).toString()),
      ca: weak.cert,
      refused: 'the certificate CN=rdpull test root has an RSA key of 1024 bits, which can be forged',
    };
  },
  'signed with SHA-1': () => ({
    ...trusted,
    certificate: root.issue(unique('server'), { digest: 'sha1' }),
    refused: 'its certificate has a signature with ecdsa-with-SHA1, which can be forged',
  }),
  'of an intermediate that is signed with SHA-1': () => ({
    ...trusted,
    certificate: root.intermediate('old-fashioned', { digest: 'sha1' }).issue(unique('server')),
    refused: 'the certificate CN=old-fashioned has a signature with ecdsa-with-SHA1, which can be forged',
  }),
  'of an intermediate that is signed with SHA-1, hidden behind itself': () => {
    const weak = root.intermediate('hidden', { digest: 'sha1' });
    const own = weak.issue(unique('server'));
    // The same name and the same key, signed by itself with SHA-256.
    const key = own.key.replace(/[^/]*$/, 'hidden.key');
    const extensions = CA.flatMap((each) => ['-addext', each]);
    const decoy = run([
      'openssl',
      'req',
      '-x509',
      '-config',
      minimal,
      '-key',
      key,
      '-subj',
      '/CN=hidden',
      ...extensions,
    ]);
    return {
      ...trusted,
      certificate: withChain(own, weak.chain, decoy.toString()),
      refused: 'the certificate CN=hidden has a signature with ecdsa-with-SHA1, which can be forged',
    };
  },
  'signed with MD5': () => {
    const rsa = otherRoot({ algorithm: RSA });
    return {
      certificate: rsa.issue(unique('server'), { digest: 'md5' }),
      ca: rsa.cert,
      refused: 'the signature of its certificate is bad (',
    };
  },

  'for clients alone, as Netscape wrote it': () => ({
    ...trusted,
    certificate: root.issue(unique('server'), { extensions: ['nsCertType=client'] }),
  }),
  'for a part of a name and any rest': () => ({
    ...trusted,
    certificate: root.issue(unique('server'), { names: 'DNS:a*.x.localhost' }),
    host: 'ab.x.localhost',
  }),
  'of a CA that demands a policy': () => ({
    ...trusted,
    certificate: authority([...CA, 'policyConstraints=critical,requireExplicitPolicy:0']).issue(
      unique('server'),
    ),
    refused: 'its CA demands a policy that the certificate does not name (',
  }),
};

/** Where the three do not agree, and why that is so. */
const DIFFERENCES: Readonly<Record<string, Omit<Verdicts, 'rdpull'>>> = {
  // Nobody has issued such certificates for 20 years; extendedKeyUsage, which counts, took its place.
  'for clients alone, as Netscape wrote it': { curl: false, openssl: false },
  // As OpenSSL; curl follows RFC 9525. No CA issues them.
  'for a part of a name and any rest': { curl: false, openssl: true },
  // RFC 5280, section 6.1.5 (g), wants it; OpenSSL looks at policies only when it is asked to (-policy_check).
  'of a CA that demands a policy': { curl: true, openssl: true },
};

describe('curl, openssl and rdpull say the same of a certificate', () => {
  test.each(Object.entries(CASES))('%s', async (name, make) => {
    const { certificate, ca, host = 'localhost', refused } = make();
    await using server = await startLighttpd(directory.path, { certificate, protocol: 'TLSv1.3' });
    const url = `https://${host}:${server.port}/image.raw`;
    const accepted = refused === undefined;
    if (accepted) {
      (await speakTls(url, host, server.port, ca)).destroy();
    } else {
      const error = await failureOf(speakTls(url, host, server.port, ca));
      expect(error.code).toBe('tls-untrusted');
      expect(error.message).toStartWith(`${url}: the server cannot be trusted: ${refused}`);
      expect(error.hint).not.toBe('');
    }
    const peers = { curl: curlAccepts(url, ca, host), openssl: opensslAccepts(server.port, ca, host) };
    expect(peers).toEqual(DIFFERENCES[name] ?? { curl: accepted, openssl: accepted });
  });
});

function speakTls(url: string, host: string, port: number, ca: string): Promise<tls.TLSSocket> {
  const { signal } = new AbortController();
  const reach = () => dial('127.0.0.1', port, signal, 10_000);
  const clock = { now: new Date(), built: undefined };
  const options = { ca: [ca], clientCertificate: undefined, signal };
  return secureConnection(new URL(url), host, reach, options, 10_000, clock);
}

function curlAccepts(url: string, ca: string, host: string): boolean {
  const { hostname, port } = new URL(url);
  const here = ['--connect-to', `${host}:${port}:127.0.0.1:${port}`];
  const { status } = spawnSync('curl', ['--silent', '--cacert', ca, ...here, '--noproxy', '*', url]);
  // CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CONNECT_ERROR
  if (status !== 0 && status !== 60 && status !== 35) throw new Error(`curl ${hostname}: ${status}`);
  return status === 0;
}

/** Trusts what need not be a root, as curl does. */
function opensslAccepts(port: number, ca: string, host: string): boolean {
  const name = /^[\d.]+$/.test(host) ? ['-verify_ip', host] : ['-verify_hostname', host];
  const trust = ['-verify_return_error', '-partial_chain', '-CAfile', ca, '-no-CApath', '-no-CAstore'];
  const to = ['-connect', `127.0.0.1:${port}`, '-servername', host];
  const { stdout } = spawnSync('openssl', ['s_client', ...trust, ...name, ...to], {
    input: '',
    encoding: 'utf8',
  });
  return stdout.includes('Verify return code: 0 (ok)') || stdout.includes('Verification: OK');
}
