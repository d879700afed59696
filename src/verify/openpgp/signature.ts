import { printable } from '../../console/printable.ts';
import { RdpullError } from '../../console/rdpull-error.ts';
import { CLOCK_TOLERANCE, type SignedFile } from '../signed-file.ts';
import type { Signer } from '../signer.ts';
import {
  type Certificate,
  describeKey,
  findCertificate,
  type Judging,
  requireUsable,
} from './certificate.ts';
import { type DetachedSignature, readDetachedSignatures } from './detached-signature.ts';
import type { Keyring } from './keyring.ts';

/**
 * Verifies the detached signature of a file: one of the signatures in it has to be good, which means that
 *
 * 1. its digest cannot be forged,
 * 2. a key of the keyring made it,
 * 3. over exactly these bytes,
 * 4. it is neither dated in the future nor expired,
 * 5. and the key may sign, and is neither revoked nor expired.
 *
 * @param now the time to judge by; the clock of an initrd may be wrong, so the messages tell it
 * @throws RdpullError signature-malformed, signature-weak, signature-unknown-key, signature-bad,
 *   signature-key-revoked, signature-key-expired
 */
export async function verifySignature(file: SignedFile, keyring: Keyring, now = new Date()): Promise<Signer> {
  let refusal: RdpullError | undefined;
  for (const signature of await readDetachedSignatures(file.signature, file.signatureUrl)) {
    try {
      return await verifyOne(signature, file, keyring, now);
    } catch (error) {
      if (!(error instanceof RdpullError)) throw error;
      // Among several, an unknown co-signer is the least of all reasons.
      if (refusal === undefined || refusal.code === 'signature-unknown-key') refusal = error;
    }
  }
  throw refusal ?? new Error(`${file.signatureUrl} was read as no signature at all`);
}

async function verifyOne(
  signature: DetachedSignature,
  file: SignedFile,
  keyring: Keyring,
  clock: Date,
): Promise<Signer> {
  const ahead = signature.madeAt.getTime() - clock.getTime();
  const judging: Judging = {
    made: `the signature ${file.signatureUrl}`,
    now: ahead > 0 && ahead <= CLOCK_TOLERANCE ? signature.madeAt : clock,
    clock: `this machine's clock says ${clock.toISOString()}`,
  };

  requireStrongDigest(signature, judging);
  const certificate = await findCertificate(signature, keyring, judging.now);
  if (certificate === undefined) throw unknownKey(signature, judging, keyring);
  await requireMatch(signature, certificate, judging, file);
  requireTimely(signature, certificate, judging);
  await requireUsable(certificate, judging);

  const expiry = await certificate.primary.getExpirationTime();
  return {
    by: 'openpgp',
    fingerprint: certificate.primary.getFingerprint().toUpperCase(),
    userId: await primaryUserId(certificate, judging.now),
    createdAt: signature.madeAt,
    validFrom: certificate.primary.getCreationTime(),
    validUntil: expiry instanceof Date ? expiry : undefined,
  };
}

/** Digests strong enough for every kind of key, by their numbers (RFC 9580, section 9.5). */
const STRONG_DIGESTS = new Map([
  [8, 'SHA256'],
  [9, 'SHA384'],
  [10, 'SHA512'],
  [12, 'SHA3-256'],
  [14, 'SHA3-512'],
]);
/** The names of those that are not. */
const WEAK_DIGESTS = new Map([
  [1, 'MD5'],
  [2, 'SHA1'],
  [3, 'RIPEMD160'],
  [11, 'SHA224'],
]);

function requireStrongDigest({ packet }: DetachedSignature, { made }: Judging): void {
  const digest = packet.hashAlgorithm ?? 0;
  if (STRONG_DIGESTS.has(digest)) return;
  throw new RdpullError(
    'signature-weak',
    `${made} uses the digest ${WEAK_DIGESTS.get(digest) ?? `number ${digest}`}, which does not protect against forgery`,
    'sign the file again with: gpg --digest-algo SHA512 --armor --detach-sign FILE',
  );
}

function unknownKey({ issuer }: DetachedSignature, { made }: Judging, keyring: Keyring): RdpullError {
  return new RdpullError(
    'signature-unknown-key',
    `${made} was made by the key ${issuer.toUpperCase()}, which is not in ${keyring.files.join(' or ')}`,
    "if the key is yours, add it to the initrd's /etc/systemd/import-pubring.pgp or name its file with --keyring=FILE; if not, find out who signed",
  );
}

async function requireMatch(
  { packet, madeAt }: DetachedSignature,
  certificate: Certificate,
  { made }: Judging,
  file: SignedFile,
): Promise<void> {
  const { createMessage } = await import('openpgp');
  const [document] = (await createMessage({ binary: file.content })).packets;
  if (document === undefined || packet.signatureType === null) {
    throw new Error('OpenPGP.js made an empty message');
  }
  try {
    // At its own date, so that nothing but the mathematics can fail here.
    await packet.verify(certificate.signing.keyPacket, packet.signatureType, document, madeAt, true);
  } catch (cause) {
    throw new RdpullError(
      'signature-bad',
      `${made} does not match ${file.url}: this is not the file that ${describeKey(certificate)} signed`,
      'sign the file again if you changed it; if you did not, find out who did',
      { cause },
    );
  }
}

function requireTimely(
  { packet, madeAt }: DetachedSignature,
  certificate: Certificate,
  { made, now, clock }: Judging,
): void {
  if (madeAt > now) {
    throw new RdpullError(
      'signature-bad',
      `${made} is not valid yet: it is dated ${madeAt.toISOString()}, but ${clock}`,
      'set the clock of this machine (an initrd has no other than the hardware clock), or that of the machine that signs',
    );
  }
  const end = packet.getExpirationTime();
  if (end <= now) {
    throw new RdpullError(
      'signature-bad',
      `${made} expired on ${new Date(end).toISOString()}; ${clock}`,
      'sign the file again, or set the clock of this machine',
    );
  }
  const keyMadeAt = certificate.signing.getCreationTime();
  if (madeAt < keyMadeAt) {
    throw new RdpullError(
      'signature-bad',
      `${made} is dated ${madeAt.toISOString()}, before ${describeKey(certificate)} was made on ${keyMadeAt.toISOString()}`,
      'sign the file again, on a machine whose clock is right',
    );
  }
}

/** The user ID that the key itself calls its first; undefined for a key that has none (OpenPGP version 6). */
async function primaryUserId({ primary }: Certificate, now: Date): Promise<string | undefined> {
  const primaryUser = await primary.getPrimaryUser(now).catch(() => undefined);
  const userId = primaryUser?.user.userID?.userID;
  return userId === undefined ? undefined : printable(userId);
}
