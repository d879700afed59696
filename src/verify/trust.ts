import { printable } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import {
  CERTIFICATE_PLACES,
  loadTrustedCertificates,
  type TrustedCertificates,
} from './cms/trusted-certificates.ts';
import { type Keyring, type KeyringChoice, loadKeyring } from './openpgp/keyring.ts';
import { KEYRING_HINT } from './trust-file.ts';

/** Whom to trust to sign images. If any file is named, of either kind, the defaults of both kinds are left alone. */
export interface TrustChoice extends KeyringChoice {
  /** The files of `--certificate=`. */
  readonly certificates: readonly string[];
}

/** Who is trusted; at least one of the two. */
export interface Trust {
  readonly keyring: Keyring | undefined;
  readonly certificates: TrustedCertificates | undefined;
}

/**
 * Reads the OpenPGP keys and the X.509 certificates that signatures are checked with.
 *
 * @throws RdpullError keyring-missing when there is neither, and as {@link loadKeyring} and
 *   {@link loadTrustedCertificates}
 */
export async function loadTrust(choice: TrustChoice): Promise<Trust> {
  const named = choice.files.length + choice.certificates.length > 0;
  const keyring = named && choice.files.length === 0 ? undefined : await loadKeyring(choice);
  const certificates =
    named && choice.certificates.length === 0 ? undefined : loadTrustedCertificates(choice);
  const trust = {
    keyring: keyring?.keys.length ? keyring : undefined,
    certificates: certificates?.certificates.length ? certificates : undefined,
  };
  if (trust.keyring === undefined && trust.certificates === undefined) {
    const places = [...(keyring?.places ?? []), ...(certificates?.places ?? [])];
    throw new RdpullError(
      'keyring-missing',
      `there is no key and no certificate to check signatures with: none in ${[places.map(printable).join(', '), ...(keyring?.passedOver ?? [])].join('; ')}`,
      `${KEYRING_HINT}; a certificate belongs into ${CERTIFICATE_PLACES[0]} or behind --certificate=FILE`,
    );
  }
  return trust;
}

/** What is trusted, in words. */
export function describeTrust({ keyring, certificates }: Trust): string {
  const some = (count: number, what: string, files: readonly string[]) =>
    `${count} ${what}${count === 1 ? '' : 's'} from ${files.map(printable).join(', ')}`;
  return [
    ...(keyring === undefined ? [] : [some(keyring.keys.length, 'OpenPGP key', keyring.files)]),
    ...(certificates === undefined
      ? []
      : [some(certificates.certificates.length, 'certificate', certificates.files)]),
  ].join(' and ');
}
