import type { PublicKeyPacket } from 'openpgp';
import { RdpullError } from '../../console/rdpull-error.ts';
import type { Certificate, KeyPacket, Signatures, Subkey, UserId } from './certificate.ts';
import { isIssuer, type ReadSignature, readSignature } from './signature-packet.ts';
import { SIGNATURE_TYPE } from './signature-type.ts';

/** How many signatures of one key are checked: each one costs a public-key operation, and anybody can append some. */
const CHECKS_MAX = 1000;

/** What a signature of a certificate is over, as OpenPGP.js wants it (RFC 9580, section 5.2.4). */
interface Signed {
  readonly key: PublicKeyPacket;
  readonly userID?: { write(): Uint8Array };
  readonly bind?: KeyPacket;
}

/** Checks signatures over the parts of certificates. */
export interface Checks {
  /** Whether `key` has made this signature over `signed`, with a digest that holds, and says nothing critical that is unknown. */
  isBy(signature: ReadSignature, key: KeyPacket, signed: Signed): Promise<boolean>;
}

/** @param name what the key is called in the error, signature-bad, when it has more signatures than are checked */
export function createChecks(name: string): Checks {
  let count = 0;
  return {
    async isBy({ packet, type, madeAt, issuer }, key, signed) {
      if (!isIssuer(key, issuer)) return false;
      if (++count > CHECKS_MAX) {
        throw new RdpullError(
          'signature-bad',
          `${name} carries more than the ${CHECKS_MAX} signatures that are checked`,
          'write the keyring anew without what others have appended to the key: gpg --export --export-options export-clean KEY',
        );
      }
      try {
        // At its own date, so that no clock decides whether it is one.
        await packet.verify(key, type, signed, madeAt);
        return true;
      } catch {
        return false;
      }
    },
  };
}

/** What a signature over each part of a certificate is over. */
export const over = {
  primary: ({ primary }: Certificate): Signed => ({ key: primary }),
  user: ({ primary }: Certificate, { bytes }: UserId): Signed => ({
    key: primary,
    // The bytes themselves, which need not be UTF-8.
    userID: { write: () => bytes },
  }),
  subkey: ({ primary }: Certificate, { key }: Subkey): Signed => ({ key: primary, bind: key }),
};

/** A signature of the key's own that holds now; else from when on one of them will. */
export interface SelfSignature {
  readonly holds: ReadSignature | undefined;
  readonly later: Date | undefined;
}

/** The newest of these signatures that the primary key has made, and that is neither expired nor dated in the future. */
export async function newestSelfSignature(
  signatures: Signatures,
  isKind: (type: number) => boolean,
  { primary }: Certificate,
  signed: Signed,
  now: Date,
  checks: Checks,
): Promise<SelfSignature> {
  let later: Date | undefined;
  const candidates = (await readAll(signatures)).filter(
    ({ type, issuer }) => isKind(type) && isIssuer(primary, issuer),
  );
  candidates.sort((one, other) => other.madeAt.getTime() - one.madeAt.getTime());
  for (const signature of candidates) {
    if (signature.packet.getExpirationTime() <= now) continue;
    if (!(await checks.isBy(signature, primary, signed))) continue;
    if (signature.madeAt <= now) return { holds: signature, later: undefined };
    later = signature.madeAt;
  }
  return { holds: undefined, later };
}

export async function readAll(signatures: Signatures): Promise<ReadSignature[]> {
  const read: ReadSignature[] = [];
  for (const body of signatures.values()) {
    const signature = await readSignature(body);
    if (signature !== undefined) read.push(signature);
  }
  return read;
}

/** Whether a signature certifies a user ID. */
export function isCertification(type: number): boolean {
  return type >= SIGNATURE_TYPE.genericCertification && type <= SIGNATURE_TYPE.positiveCertification;
}
