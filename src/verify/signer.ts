import { quoted } from '../console/printable.ts';

/** Who vouches for a file. */
export interface Signer {
  /** How: with an OpenPGP key, or with an X.509 certificate. */
  readonly by: 'openpgp' | 'x509';
  /**
   * The fingerprint of the primary key (OpenPGP), or the SHA-256 of the certificate (X.509), in upper-case hexadecimal
   * digits.
   */
  readonly fingerprint: string;
  /** The key's user ID or the certificate's subject, printable; undefined for the rare key without one. */
  readonly userId: string | undefined;
  /** When the signature was made, as it says itself; a CMS signature need not. */
  readonly createdAt: Date | undefined;
  /** The days of the key's or the certificate's life; without an end it lives for ever. */
  readonly validFrom: Date;
  readonly validUntil: Date | undefined;
}

/** Who signed and when, in words: `on DATE by the OpenPGP key FINGERPRINT "NAME", valid from DATE to DATE`. */
export function describeSigner({
  by,
  fingerprint,
  userId,
  createdAt,
  validFrom,
  validUntil,
}: Signer): string {
  const when = createdAt === undefined ? '' : `on ${createdAt.toISOString()} `;
  const what = by === 'openpgp' ? 'OpenPGP key' : 'certificate';
  const name = userId === undefined ? '' : ` ${quoted(userId)}`;
  const end = validUntil === undefined ? 'for ever' : `to ${validUntil.toISOString()}`;
  return `${when}by the ${what} ${fingerprint}${name}, valid from ${validFrom.toISOString()} ${end}`;
}
