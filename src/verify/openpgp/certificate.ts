import type { Key, SignaturePacket, Subkey } from 'openpgp';
import { quoted } from '../../console/printable.ts';
import { RdpullError, reasonOf } from '../../console/rdpull-error.ts';
import type { DetachedSignature } from './detached-signature.ts';
import type { Keyring } from './keyring.ts';

/** A key of the keyring, and which of its keys made a signature: the primary key itself or a subkey. */
export interface Certificate {
  readonly primary: Key;
  readonly signing: Key | Subkey;
}

/** Under what circumstances a signature is judged. */
export interface Judging {
  /** The signature, for messages: `the signature URL`. */
  readonly made: string;
  readonly now: Date;
  /** What time this machine believes it is, for messages: `now` may have been set right. */
  readonly clock: string;
}

/** Signature subpacket type 38, "Key Block" (GnuPG's `--include-key-block`); its first octet is 0. */
const KEY_BLOCK_SUBPACKET = 38;

/**
 * Finds the key that says it made `signature`.
 *
 * All copies of that key in the keyrings are merged, so that a revocation in one of them counts. So is the copy inside
 * the signature, if there is one and if the keyring holds its primary key: new signing subkeys come into use that way
 * without touching the machines, as they do with systemd 262 (gpg --auto-key-import --import-options=merge-only).
 * Nothing in a copy is believed that its primary key has not signed: {@link requireUsable}.
 */
export async function findCertificate(
  signature: DetachedSignature,
  keyring: Keyring,
  now: Date,
): Promise<Certificate | undefined> {
  const trusted = new Set(keyring.keys.map((key) => key.getFingerprint()));
  const embedded = (await embeddedKeys(signature.packet)).filter((key) => trusted.has(key.getFingerprint()));
  const isIssuer = (key: Key | Subkey) =>
    key.getFingerprint() === signature.issuer || key.getKeyID().toHex() === signature.issuer;

  const fingerprint = [...keyring.keys, ...embedded]
    .find((key) => key.getKeys().some(isIssuer))
    ?.getFingerprint();
  const [first, ...copies] = [...keyring.keys, ...embedded].filter(
    (key) => key.getFingerprint() === fingerprint,
  );
  if (first === undefined) return undefined;

  let primary = first;
  for (const copy of copies) primary = await primary.update(copy, now);
  const signing = primary.getKeys().find(isIssuer);
  return signing === undefined ? undefined : { primary, signing };
}

async function embeddedKeys(packet: SignaturePacket): Promise<Key[]> {
  const openpgp = await import('openpgp');
  const keys: Key[] = [];
  for (const { type, body } of packet.unknownSubpackets) {
    if (type !== KEY_BLOCK_SUBPACKET) continue;
    // What cannot be read is left out: the signature is then one by an unknown key.
    keys.push(...(await openpgp.readKeys({ binaryKeys: body.subarray(1) }).catch(() => [])));
  }
  return keys.filter((key) => !key.isPrivate());
}

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
export async function requireUsable(certificate: Certificate, { made, now, clock }: Judging): Promise<void> {
  const { primary, signing } = certificate;
  const name = `${describeKey(certificate)}, which made ${made},`;

  const revocation = await findRevocation(certificate);
  if (revocation !== undefined) {
    throw new RdpullError(
      'signature-key-revoked',
      `${name} was revoked on ${revocation.created?.toISOString()}`,
      'sign the file again with a key that is not revoked, and put that key into the keyring',
    );
  }

  const begin = validSince(certificate);
  if (begin > now) {
    throw new RdpullError(
      'signature-key-expired',
      `${name} is valid only from ${begin.toISOString()} on, but ${clock}`,
      'set the clock of this machine (an initrd has no other than the hardware clock)',
    );
  }

  for (const end of [await primary.getExpirationTime(), await expirationOf(signing, now)]) {
    if (end !== null && end <= now) {
      throw new RdpullError(
        'signature-key-expired',
        `${name} expired on ${new Date(end).toISOString()}; ${clock}`,
        `extend its life (gpg --quick-set-expire ${primary.getFingerprint().toUpperCase()} 2y) and put the key into the keyring anew, or sign with another key`,
      );
    }
  }

  try {
    await primary.getSigningKey(signing.getKeyID(), now);
  } catch (error) {
    const reason = reasonOf(error);
    throw new RdpullError(
      /too weak|is disabled/.test(reason) ? 'signature-weak' : 'signature-bad',
      `${name} may not sign files: ${reason}`,
      'sign the file with a key that is made for signing (gpg --quick-generate-key NAME ed25519 sign)',
      { cause: error },
    );
  }
}

/** The key as a person knows it: fingerprint of the primary key, and the user ID. */
export function describeKey({ primary, signing }: Certificate): string {
  const user = primary.getUserIDs()[0];
  const name = `${primary.getFingerprint().toUpperCase()}${user === undefined ? '' : ` ${quoted(user)}`}`;
  return signing === primary
    ? `the key ${name}`
    : `the subkey ${signing.getFingerprint().toUpperCase()} of the key ${name}`;
}

/** A revocation of the primary key, or of the subkey that made the signature, which the primary key has signed. */
async function findRevocation({ primary, signing }: Certificate): Promise<SignaturePacket | undefined> {
  const { enums } = await import('openpgp');
  const key = { key: primary.keyPacket };
  return (
    (await firstValid(primary.revocationSignatures, primary, enums.signature.keyRevocation, key)) ??
    (signing === primary
      ? undefined
      : firstValid(signing.revocationSignatures, primary, enums.signature.subkeyRevocation, {
          ...key,
          bind: signing.keyPacket,
        }))
  );
}

async function firstValid(
  revocations: readonly SignaturePacket[],
  primary: Key,
  type: number,
  revoked: object,
): Promise<SignaturePacket | undefined> {
  for (const revocation of revocations) {
    try {
      // At its own date: a revocation counts even where the clock is behind it.
      await revocation.verify(primary.keyPacket, type, revoked, revocation.created ?? undefined);
      return revocation;
    } catch {
      // Not made by this key: anybody can append such a packet.
    }
  }
  return undefined;
}

/** From when on there is a key, and a signature of its own that makes it valid. */
function validSince({ primary, signing }: Certificate): Date {
  const certifications = primary.users.flatMap((user) => user.selfCertifications);
  const bindings = signing === primary || !('bindingSignatures' in signing) ? [] : signing.bindingSignatures;
  const dates = [
    primary.getCreationTime(),
    signing.getCreationTime(),
    ...[certifications, bindings].map((signatures) =>
      Math.min(...signatures.map(({ created }) => created?.getTime() ?? 0)),
    ),
  ];
  return new Date(Math.max(...dates.map(Number).filter(Number.isFinite)));
}

function expirationOf(key: Key | Subkey, now: Date): Promise<Date | number | null> {
  return 'mainKey' in key ? key.getExpirationTime(now) : key.getExpirationTime();
}
