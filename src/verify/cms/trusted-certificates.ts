import { X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { printable } from '../../console/printable.ts';
import { RdpullError, reasonOf } from '../../console/rdpull-error.ts';
import { readNamedFile } from '../../kernel/named-file.ts';
import { isSystemError } from '../../kernel/system-error.ts';
import { certificateMissing } from '../trust-file.ts';

/** Where systemd looks for the certificates that sign images (systemd-dissect(1); CONF_PATHS of its build). */
const DIRECTORIES = ['/etc/verity.d', '/run/verity.d', '/usr/local/lib/verity.d', '/usr/lib/verity.d'];
const SUFFIX = '.crt';
/** The default places, for messages. */
export const CERTIFICATE_PLACES: readonly string[] = DIRECTORIES.map(
  (directory) => `${directory}/*${SUFFIX}`,
);

/** The largest file that is read, in bytes. */
const FILE_MAX = 1024 * 1024;

/** Which files to take certificates from. */
export interface CertificateChoice {
  /** The files of `--certificate=`. If there are any, they replace the directories, and each has to exist. */
  readonly certificates: readonly string[];
  /** The directory that stands for `/` in the default places. */
  readonly root?: string;
}

/** The X.509 certificates whose holders this machine trusts to sign images. */
export interface TrustedCertificates {
  /** None where there is none: it is for the caller to decide whether that is an error. */
  readonly certificates: readonly X509Certificate[];
  /** The files they came from. */
  readonly files: readonly string[];
  /** All places that were looked at, for messages. */
  readonly places: readonly string[];
}

/**
 * Reads the certificates (PEM, any number in a file) that are trusted themselves: who holds the key of one of them may
 * sign. They are no certificate authorities: what they have issued is not trusted, as with systemd.
 *
 * A file in an earlier directory replaces the files of its name in later ones, and a link to /dev/null masks them.
 *
 * @throws RdpullError keyring-missing for a file that was asked for, keyring-malformed
 */
export function loadTrustedCertificates({
  certificates: named,
  root = '/',
}: CertificateChoice): TrustedCertificates {
  const files = named.length > 0 ? named : defaultFiles(root);
  const read = files.map((file) => ({ file, certificates: readCertificates(file, named.length > 0) }));
  const holding = read.filter(({ certificates }) => certificates.length > 0);
  return {
    certificates: holding.flatMap(({ certificates }) => certificates),
    files: holding.map(({ file }) => file),
    places: named.length > 0 ? named : CERTIFICATE_PLACES,
  };
}

function defaultFiles(root: string): string[] {
  const byName = new Map<string, string>();
  for (const directory of DIRECTORIES.map((each) => path.join(root, each))) {
    for (const name of listed(directory)) {
      if (name.endsWith(SUFFIX) && !byName.has(name)) byName.set(name, path.join(directory, name));
    }
  }
  return [...byName.values()];
}

function listed(directory: string): string[] {
  try {
    return fs.readdirSync(directory).sort();
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return [];
    throw malformed(directory, error);
  }
}

function readCertificates(file: string, named: boolean): X509Certificate[] {
  try {
    const text = readNamedFile(file, FILE_MAX).toString('latin1');
    const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
    if (blocks.length === 0 && (text !== '' || named)) {
      throw new Error('it holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)');
    }
    return blocks.map((block) => new X509Certificate(block));
  } catch (error) {
    if (named && isSystemError(error, 'ENOENT', 'ENOTDIR')) {
      throw certificateMissing(file);
    }
    throw malformed(file, error);
  }
}

function malformed(file: string, cause: unknown): RdpullError {
  return new RdpullError(
    'keyring-malformed',
    `cannot use the certificates in ${printable(file)}: ${reasonOf(cause)}`,
    'write it anew with: openssl x509 -in CERTIFICATE -out FILE',
    { cause },
  );
}
