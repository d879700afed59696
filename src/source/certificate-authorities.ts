import { X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import { printable } from '../console/printable.ts';
import { RdpullError, reasonOf } from '../console/rdpull-error.ts';
import { readNamedFile } from '../kernel/named-file.ts';

/** Where distributions keep the system's bundle: Debian and Arch, Fedora, openSUSE, Alpine. */
const SYSTEM_BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

/** The largest bundle that is read, in bytes: the system's have a quarter of a MiB. */
const BUNDLE_MAX = 16 * 1024 * 1024;

/**
 * What was read, once for all: a process that goes through switch-root trusts whom the initrd trusts, and never waits for a file
 * of the image that it is fetching.
 */
const known = new Map<string, string[]>();

/**
 * The certificates that https servers are checked against, as PEM: the files given with `--ca=`, else the file that
 * `$SSL_CERT_FILE` names, else the system's bundle.
 *
 * @throws RdpullError ca-unusable when there is none, or one cannot be used
 */
export function certificateAuthorities(files: readonly string[]): string[] {
  const key = JSON.stringify([files, process.env['SSL_CERT_FILE']]);
  const bundles = known.get(key) ?? readAuthorities(files);
  known.set(key, bundles);
  return bundles;
}

function readAuthorities(files: readonly string[]): string[] {
  if (files.length > 0) return files.map(readBundle);
  const fromEnvironment = process.env['SSL_CERT_FILE'];
  if (fromEnvironment) return [readBundle(fromEnvironment)];
  const bundle = SYSTEM_BUNDLES.find((path) => fs.existsSync(path));
  if (bundle !== undefined) return [readBundle(bundle)];
  throw new RdpullError(
    'ca-unusable',
    `https needs certificates to check the server against, and there are none here (looked for ${SYSTEM_BUNDLES.join(', ')})`,
    'pass --ca=FILE with the certificate of your CA, or put the ca-certificates bundle into the initrd',
  );
}

function readBundle(path: string): string {
  let pem: string;
  try {
    pem = readNamedFile(path, BUNDLE_MAX).toString();
  } catch (error) {
    const reason = reasonOf(error);
    throw new RdpullError(
      'ca-unusable',
      `the certificates in ${printable(path)} cannot be read: ${reason}`,
      'check the path given with --ca=FILE',
      { cause: error },
    );
  }
  if (!pem.includes('-----BEGIN CERTIFICATE-----')) {
    throw new RdpullError(
      'ca-unusable',
      `${printable(path)} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)`,
      'convert it with: openssl x509 -inform DER -in FILE -out FILE.pem',
    );
  }
  return pem;
}

/** The certificates in PEM bundles; what the runtime cannot read is left out, as the TLS library does it. */
export function certificatesOf(bundles: readonly string[]): X509Certificate[] {
  const pems = bundles.flatMap(
    (bundle) => bundle.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [],
  );
  return pems.map(readCertificate).filter((certificate) => certificate !== undefined);
}

/** undefined for what is no certificate, or has a key that the runtime cannot read: nothing is verified with that. */
export function readCertificate(certificate: string | Uint8Array): X509Certificate | undefined {
  try {
    const read = new X509Certificate(certificate);
    return read.publicKey.type === 'public' ? read : undefined;
  } catch {
    return undefined;
  }
}
