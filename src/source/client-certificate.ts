import { createPrivateKey, X509Certificate } from 'node:crypto';
import { printable } from '../console/printable.ts';
import { RdpullError, reasonOf } from '../console/rdpull-error.ts';
import { readNamedFile } from '../kernel/named-file.ts';
import { isSystemError } from '../kernel/system-error.ts';
import { weakKey, weakSignature } from './certificate-strength.ts';

/** A certificate and its private key, in PEM form. */
export interface KeyPair {
  /** The certificate, and behind it those of its CAs, as far as the server does not have them. */
  readonly cert: string;
  readonly key: string;
}

/** What says to one server who this machine is. */
export interface ClientCertificate extends KeyPair {
  /** Scheme, host and port of the server it is for. */
  readonly origin: string;
}

/** The largest file that is read, in bytes. */
const PEM_MAX = 1024 * 1024;

const HINT_MAKE =
  'check it with: openssl x509 -noout -subject -dates -in FILE, and openssl pkey -noout -in FILE';

/**
 * Reads a client certificate and its key.
 *
 * @param keyFile where the key is; undefined: in the file of the certificate
 * @throws RdpullError credential-unusable when they cannot be read or used, or do not belong together
 */
export function readClientCertificate(certFile: string, keyFile: string | undefined): KeyPair {
  const cert = readPem(certFile, '--cert');
  const key = keyFile === undefined ? cert : readPem(keyFile, '--key');
  const keyIn = printable(keyFile ?? certFile);
  if (!cert.includes('-----BEGIN CERTIFICATE-----')) {
    throw unusable(
      `${printable(certFile)} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)`,
      'convert it with: openssl x509 -inform DER -in FILE -out FILE.pem',
    );
  }
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(key)) {
    throw unusable(
      `the private key in ${keyIn} is encrypted, and nobody is there to be asked for its passphrase`,
      'decrypt it with: openssl pkey -in FILE -out FILE.key, and protect that file',
    );
  }
  if (!/-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----/.test(key)) {
    throw unusable(
      `${keyIn} holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)`,
      keyFile === undefined ? 'name the file of the key with --key=FILE' : HINT_MAKE,
    );
  }
  const certificate = parsed(() => new X509Certificate(cert), `the certificate in ${printable(certFile)}`);
  const privateKey = parsed(() => createPrivateKey(key), `the private key in ${keyIn}`);
  if (!certificate.checkPrivateKey(privateKey)) {
    throw unusable(
      `the private key in ${keyIn} does not belong to the certificate in ${printable(certFile)}`,
      'name the two files of one certificate with --cert=FILE and --key=FILE',
    );
  }
  const weak = weakKey(certificate) ?? weakSignature(certificate);
  if (weak !== undefined) {
    throw unusable(
      `the certificate in ${printable(certFile)} has ${weak}: servers and curl refuse that, because it can be forged`,
      'make another one, with an RSA key of at least 2048 bits or an elliptic curve, signed with SHA-256',
    );
  }
  return { cert, key };
}

function parsed<T>(parse: () => T, what: string): T {
  try {
    return parse();
  } catch {
    // What the TLS library says of it may quote it.
    throw unusable(`${what} is damaged`, HINT_MAKE);
  }
}

function readPem(path: string, option: string): string {
  try {
    return readNamedFile(path, PEM_MAX).toString();
  } catch (error) {
    const reason = isSystemError(error, 'ENOENT') ? 'there is no such file' : reasonOf(error);
    throw unusable(
      `${option}=${printable(path)} cannot be read: ${reason}`,
      'check the path and its permissions',
      error,
    );
  }
}

function unusable(message: string, hint: string, cause?: unknown): RdpullError {
  return new RdpullError('credential-unusable', message, hint, { cause });
}
