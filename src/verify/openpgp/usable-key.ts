import { printable } from '../../console/printable.ts';
import { RdpullError } from '../../console/rdpull-error.ts';
import {
  type Certificate,
  describeKey,
  type KeyPacket,
  type Subkey,
  textOf,
  type UserId,
} from './certificate.ts';
import { findRevocation } from './revocation.ts';
import {
  type Checks,
  createChecks,
  isCertification,
  newestSelfSignature,
  over,
  readAll,
} from './self-signatures.ts';
import { type ReadSignature, readOf } from './signature-packet.ts';
import { SIGNATURE_TYPE } from './signature-type.ts';

/** Under what circumstances a signature is judged. */
export interface Judging {
  /** The signature, for messages: `the signature URL`. */
  readonly made: string;
  readonly now: Date;
  /** What time this machine believes it is, for messages: `now` may have been set right. */
  readonly clock: string;
  /** Who may be designated revokers. */
  readonly others: readonly Certificate[];
}

/** What there is to say of a key that may sign. */
export interface UsableKey {
  /** The user ID that the key itself calls its first; undefined for a key that has none (version 6). */
  readonly userId: string | undefined;
  /** When the primary key expires; undefined: never. */
  readonly expires: Date | undefined;
}

/** RFC 9580, section 5.2.3.29: "this key may be used to sign data". */
const SIGN_DATA = 0x02;

/** RFC 9580, section 9.1: algorithms that sign. */
const RSA = [1, 3];
const DSA = 17;
const ECDSA = 19;
const EDDSA_LEGACY = 22;
const ED25519 = 27;
const ED448 = 28;
const SIGNING: readonly number[] = [...RSA, ECDSA, EDDSA_LEGACY, ED25519, ED448];

/** A modulus of 2048 bits may begin with a zero, where nobody took care that it does not. */
const RSA_BITS_MIN = 2047;
/** The curve of Bitcoin, which no one else signs with. */
const REFUSED_CURVE = 'secp256k1';

const CLOCK_HINT = 'set the clock of this machine (an initrd has no other than the hardware clock)';
const SIGNING_KEY_HINT =
  'sign the file with a key that is made for signing (gpg --quick-generate-key NAME ed25519 sign)';

/**
 * Refuses a key that cannot vouch for anything now. Stricter than gpg, which with the options that systemd gives
 * it exits with 0 for a revoked and for an expired key (tried with 2.2.40: REVKEYSIG, EXPKEYSIG):
 *
 * - A revoked key is refused whatever the reason and the date of its revocation.
 * - An expired key is refused even if the signature is dated before: the date is the signer's word, and who has stolen
 *   an expired key will not tell the truth. apt decides likewise.
 * - The key is judged by its newest self-signature of today, not by the one of the day of the signature: gpg replaces
 *   self-signatures when it extends a key's life, and old images must stay valid then.
 *
 * @throws RdpullError signature-key-revoked, signature-key-expired (or not valid yet), signature-weak, signature-bad
 */
export async function requireUsable(
  certificate: Certificate,
  signing: KeyPacket,
  { made, now, clock, others }: Judging,
): Promise<UsableKey> {
  const name = `${describeKey(certificate, signing)}, which made ${made},`;
  const checks = createChecks(name);

  const revocation = await findRevocation(certificate, signing, others, checks);
  if (revocation !== undefined) throw revoked(name, revocation);

  const identity = await readIdentity(certificate, now, checks);
  const subkey = [...certificate.subkeys.values()].find(({ key }) => key === signing);
  const binding =
    subkey &&
    (await newestSelfSignature(
      subkey.signatures,
      isBinding,
      certificate,
      over.subkey(certificate, subkey),
      now,
      checks,
    ));

  const begins = [certificate.primary.created, signing.created, identity.later, binding?.later];
  const begin = new Date(Math.max(...begins.map((date) => date?.getTime() ?? 0)));
  if (begin > now) {
    throw new RdpullError(
      'signature-key-expired',
      `${name} is valid only from ${begin.toISOString()} on, but ${clock}`,
      CLOCK_HINT,
    );
  }
  const mayNot = (reason: string, code: 'signature-weak' | 'signature-bad' = 'signature-bad') =>
    new RdpullError(code, `${name} may not sign files: ${reason}`, SIGNING_KEY_HINT);
  if (!identity.isValid)
    throw mayNot(
      identity.isRevoked ? 'all of its user IDs were revoked' : 'no signature of its own makes it valid',
    );

  const expires = endOfLife(certificate.primary, identity.lifetime);
  const bound = binding?.holds;
  for (const end of [expires, bound && endOfLife(signing, bound.packet.keyExpirationTime)]) {
    if (end === undefined || end > now) continue;
    throw new RdpullError(
      'signature-key-expired',
      `${name} expired on ${end.toISOString()}; ${clock}`,
      `extend its life (gpg --quick-set-expire ${certificate.fingerprint.toUpperCase()} 2y) and put the key into the keyring anew, or sign with another key`,
    );
  }

  for (const key of new Set([certificate.primary, signing])) {
    const weakness = weaknessOf(key);
    if (weakness !== undefined) throw mayNot(weakness, 'signature-weak');
  }
  if (subkey !== undefined) {
    if (bound === undefined) throw mayNot('the primary key does not say that it is one of its subkeys');
    if (!maySign(signing, bound.packet.keyFlags)) throw mayNot('it is made for something else');
    if (!(await isBoundBack(certificate, subkey, bound, now, checks))) {
      throw mayNot('it does not say itself that it belongs to that key (gpg: cross-certify)');
    }
  } else if (!maySign(signing, identity.keyFlags)) {
    throw mayNot('it is made for something else');
  }
  return { userId: identity.userId, expires };
}

function revoked(
  name: string,
  { madeAt, unknownRevoker }: { madeAt: Date; unknownRevoker: string | undefined },
): RdpullError {
  return unknownRevoker === undefined
    ? new RdpullError(
        'signature-key-revoked',
        `${name} was revoked on ${madeAt.toISOString()}`,
        'sign the file again with a key that is not revoked, and put that key into the keyring',
      )
    : new RdpullError(
        'signature-key-revoked',
        `${name} was revoked on ${madeAt.toISOString()} by its designated revoker ${unknownRevoker.toUpperCase()}, whose key is not here to check that`,
        'sign the file again with a key that is not revoked; or put the key of the revoker into the keyring, to have its revocation checked',
      );
}

/** What the primary key says of itself. */
interface Identity {
  /** Whether there is a signature of its own that makes it a key. */
  readonly isValid: boolean;
  /** Whether it would be, but for the revocations of its user IDs. */
  readonly isRevoked: boolean;
  /** From when on it will be, where it is not. */
  readonly later: Date | undefined;
  /** RFC 9580, section 5.2.3.29; null: nothing is said, and the key may do whatever its algorithm can. */
  readonly keyFlags: ArrayLike<number> | null;
  /** In seconds; null and 0: for ever. */
  readonly lifetime: number | null;
  readonly userId: string | undefined;
}

interface Certified {
  readonly user: UserId;
  readonly signature: ReadSignature;
}

/**
 * What the key says over itself goes before what it says over its user IDs, and of these the newest that says
 * anything counts (GnuPG, g10/getkey.c, merge_selfsigs_main).
 */
async function readIdentity(certificate: Certificate, now: Date, checks: Checks): Promise<Identity> {
  const newest = (
    signatures: Certificate['signatures'],
    isKind: (type: number) => boolean,
    signed: ReturnType<typeof over.primary>,
  ) => newestSelfSignature(signatures, isKind, certificate, signed, now, checks);
  const direct = await newest(certificate.signatures, isDirectKey, over.primary(certificate));
  const laters = [direct.later];
  const certified: Certified[] = [];
  let isRevoked = false;
  for (const user of certificate.users.values()) {
    const { holds, later } = await newest(user.signatures, isCertification, over.user(certificate, user));
    laters.push(later);
    if (holds === undefined) continue;
    if (await isUserRevoked(certificate, user, holds.madeAt, checks)) isRevoked = true;
    else certified.push({ user, signature: holds });
  }
  certified.sort((one, other) => other.signature.madeAt.getTime() - one.signature.madeAt.getTime());
  const packets = [direct.holds, ...certified.map(({ signature }) => signature)].flatMap(
    (each) => each?.packet ?? [],
  );
  const called = certified.find(({ signature }) => signature.packet.isPrimaryUserID === true) ?? certified[0];

  const said = direct.holds?.packet.keyExpirationTime ?? null;
  const sooner = laters.filter((date) => date !== undefined);
  return {
    // RFC 9580, section 10.1.1: a key of version 6 says it all over itself.
    isValid: direct.holds !== undefined || (certificate.primary.version !== 6 && certified.length > 0),
    isRevoked,
    later: packets.length > 0 ? undefined : sooner[0] && new Date(Math.min(...sooner.map(Number))),
    keyFlags: packets.find(({ keyFlags }) => keyFlags !== null)?.keyFlags ?? null,
    lifetime: said ?? packets.find(({ keyExpirationTime }) => keyExpirationTime)?.keyExpirationTime ?? null,
    userId: called && printable(textOf(called.user)),
  };
}

/** A user ID that is certified anew after its revocation holds again. */
async function isUserRevoked(
  certificate: Certificate,
  user: UserId,
  since: Date,
  checks: Checks,
): Promise<boolean> {
  for (const revocation of await readAll(user.signatures)) {
    if (revocation.type !== SIGNATURE_TYPE.certificationRevocation || revocation.madeAt < since) continue;
    if (await checks.isBy(revocation, certificate.primary, over.user(certificate, user))) return true;
  }
  return false;
}

const isDirectKey = (type: number) => type === SIGNATURE_TYPE.directKey;
const isBinding = (type: number) => type === SIGNATURE_TYPE.subkeyBinding;

/** @param lifetime in seconds; null and 0: for ever */
function endOfLife({ created }: KeyPacket, lifetime: number | null): Date | undefined {
  return lifetime ? new Date(created.getTime() + lifetime * 1000) : undefined;
}

/** As gpg has it: what a key without flags may do is what its algorithm can. */
function maySign({ algorithm }: KeyPacket, flags: ArrayLike<number> | null): boolean {
  return SIGNING.includes(algorithm) && (flags === null || ((flags[0] ?? 0) & SIGN_DATA) !== 0);
}

/** RFC 9580, section 5.2.3.34: a subkey that signs agrees to it, lest somebody else adopts it. */
async function isBoundBack(
  certificate: Certificate,
  subkey: Subkey,
  { packet }: ReadSignature,
  now: Date,
  checks: Checks,
): Promise<boolean> {
  const back = packet.embeddedSignature && readOf(packet.embeddedSignature);
  return (
    back?.type === SIGNATURE_TYPE.primaryKeyBinding &&
    back.madeAt <= now &&
    back.packet.getExpirationTime() > now &&
    (await checks.isBy(back, subkey.key, over.subkey(certificate, subkey)))
  );
}

/** Why the signatures of a key could be forged; undefined when they cannot. */
function weaknessOf(key: KeyPacket): string | undefined {
  const { bits = 0, curve } = key.getAlgorithmInfo();
  if (RSA.includes(key.algorithm) && bits < RSA_BITS_MIN)
    return `RSA keys of ${bits} bits are considered too weak`;
  if (key.algorithm === DSA) return 'DSA keys are considered too weak';
  return curve === REFUSED_CURVE ? `keys on the curve ${REFUSED_CURVE} are not taken` : undefined;
}
