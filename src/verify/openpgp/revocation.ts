import type { Certificate, KeyPacket, Signatures } from './certificate.ts';
import { keysOf } from './certificate.ts';
import { type Checks, isCertification, over, readAll } from './self-signatures.ts';
import { isIssuer, type ReadSignature, revokersIn } from './signature-packet.ts';
import { SIGNATURE_TYPE } from './signature-type.ts';

/** That a key was revoked. */
export interface Revocation {
  readonly madeAt: Date;
  /** The fingerprint of the designated revoker who is said to have done it, and whose key is not here to check that. */
  readonly unknownRevoker: string | undefined;
}

/**
 * A revocation of the primary key, or of `signing`, the subkey that made a signature, which the primary key or one of
 * its designated revokers has signed. Whatever its reason and its date.
 *
 * A revoker is looked for among `others`. Where there is none, the revocation counts nevertheless: whoever may write
 * into a keyring needs no forged revocation, and whose key was stolen may have no other way left to say so.
 */
export async function findRevocation(
  certificate: Certificate,
  signing: KeyPacket,
  others: readonly Certificate[],
  checks: Checks,
): Promise<Revocation | undefined> {
  const subkey = [...certificate.subkeys.values()].find(({ key }) => key === signing);
  const places = [
    {
      signatures: certificate.signatures,
      kind: SIGNATURE_TYPE.keyRevocation,
      signed: over.primary(certificate),
    },
    ...(subkey === undefined
      ? []
      : [
          {
            signatures: subkey.signatures,
            kind: SIGNATURE_TYPE.subkeyRevocation,
            signed: over.subkey(certificate, subkey),
          },
        ]),
  ];
  for (const { signatures, kind, signed } of places) {
    for (const revocation of (await readAll(signatures)).filter(({ type }) => type === kind)) {
      const { madeAt } = revocation;
      if (await checks.isBy(revocation, certificate.primary, signed)) {
        return { madeAt, unknownRevoker: undefined };
      }
      const revoker = await designated(revocation, certificate, checks);
      if (revoker === undefined) continue;
      const keys = others.flatMap(keysOf).filter((key) => key.getFingerprint() === revoker);
      if (keys.length === 0) return { madeAt, unknownRevoker: revoker };
      for (const key of keys) {
        if (await checks.isBy(revocation, key, signed)) return { madeAt, unknownRevoker: undefined };
      }
    }
  }
  return undefined;
}

/** The fingerprint of the designated revoker who says to have made a revocation; undefined for anybody else. */
async function designated(
  { issuer }: ReadSignature,
  certificate: Certificate,
  checks: Checks,
): Promise<string | undefined> {
  if (issuer === '' || isIssuer(certificate.primary, issuer)) return undefined;
  const places: {
    signatures: Signatures;
    isKind: (type: number) => boolean;
    signed: ReturnType<typeof over.primary>;
  }[] = [
    {
      signatures: certificate.signatures,
      isKind: (type) => type === SIGNATURE_TYPE.directKey,
      signed: over.primary(certificate),
    },
    ...[...certificate.users.values()].map((user) => ({
      signatures: user.signatures,
      isKind: isCertification,
      signed: over.user(certificate, user),
    })),
  ];
  for (const { signatures, isKind, signed } of places) {
    for (const signature of await readAll(signatures)) {
      // A key ID is the end of a fingerprint of version 4, and revokers have no other.
      const revoker = revokersIn(signature).find((each) => each === issuer || each.endsWith(issuer));
      if (revoker === undefined || !isKind(signature.type)) continue;
      if (await checks.isBy(signature, certificate.primary, signed)) return revoker;
    }
  }
  return undefined;
}
