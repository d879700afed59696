import { printable } from '../../console/printable.ts';
import { RdpullError } from '../../console/rdpull-error.ts';
import { judgeSignatures, type Verdict } from '../several-signatures.ts';
import { CLOCK_TOLERANCE, type SignedFile } from '../signed-file.ts';
import type { Signer } from '../signer.ts';
import {
  type Certificate,
  copyOf,
  describeKey,
  type KeyPacket,
  keysOf,
  mergeInto,
  readCertificates,
} from './certificate.ts';
import { readDetachedSignatures } from './detached-signature.ts';
import type { Keyring } from './keyring.ts';
import { splitPackets } from './packets.ts';
import { isIssuer, type ReadSignature } from './signature-packet.ts';
import { type Judging, requireUsable } from './usable-key.ts';

/**
 * Verifies the detached signature of a file: one of the signatures in it has to be good, which means that
 *
 * 1. its digest cannot be forged,
 * 2. a key of the keyring made it,
 * 3. over exactly these bytes,
 * 4. it is neither dated in the future nor expired,
 * 5. and the key may sign, and is neither revoked nor expired;
 *
 * and none of them may be by a key of the keyring, but over other bytes.
 *
 * @param now the time to judge by; the clock of an initrd may be wrong, so the messages tell it
 * @throws RdpullError signature-malformed, signature-weak, signature-unknown-key, signature-bad,
 *   signature-key-revoked, signature-key-expired
 */
export async function verifySignature(file: SignedFile, keyring: Keyring, now = new Date()): Promise<Signer> {
  const signatures = await readDetachedSignatures(file.signature, file.signatureUrl);
  return await judgeSignatures(signatures, file.signatureUrl, (signature) =>
    verifyOne(signature, file, keyring, now),
  );
}

/** A key that says it made a signature, and the certificate it belongs to. */
interface Candidate {
  readonly certificate: Certificate;
  readonly key: KeyPacket;
}

async function verifyOne(
  signature: ReadSignature,
  file: SignedFile,
  keyring: Keyring,
  clock: Date,
): Promise<Verdict> {
  const ahead = signature.madeAt.getTime() - clock.getTime();
  const judging: Judging = {
    made: `the signature ${file.signatureUrl}`,
    now: ahead > 0 && ahead <= CLOCK_TOLERANCE ? signature.madeAt : clock,
    clock: `this machine's clock says ${clock.toISOString()}`,
    others: keyring.keys,
  };

  requireStrongDigest(signature, judging);
  const candidates = await findCandidates(signature, keyring);
  const [first] = candidates;
  if (first === undefined) throw unknownKey(signature, judging, keyring);
  const makers: Candidate[] = [];
  for (const candidate of candidates) {
    if (await isBy(signature, candidate.key, file)) makers.push(candidate);
  }
  if (makers.length === 0) return { kind: 'mismatch', error: notSigned(first, judging, file) };

  // Several only where two certificates hold one and the same key.
  let refusal: RdpullError | undefined;
  for (const maker of makers) {
    try {
      return { kind: 'good', signer: await judge(signature, maker, judging) };
    } catch (error) {
      if (!(error instanceof RdpullError)) throw error;
      refusal ??= error;
    }
  }
  throw refusal ?? new Error('a signature without a maker');
}

async function judge(
  signature: ReadSignature,
  { certificate, key }: Candidate,
  judging: Judging,
): Promise<Signer> {
  requireTimely(signature, describeKey(certificate, key), key, judging);
  const { userId, expires } = await requireUsable(certificate, key, judging);
  return {
    by: 'openpgp',
    fingerprint: certificate.fingerprint.toUpperCase(),
    userId,
    createdAt: signature.madeAt,
    validFrom: certificate.primary.created,
    validUntil: expires,
  };
}

/** Signature subpacket type 38, "Key Block" (GnuPG's `--include-key-block`); its first octet is 0. */
const KEY_BLOCK_SUBPACKET = 38;

/** No key that comes with a signature holds more packets: the signature file has an end before. */
const EMBEDDED_PACKETS_MAX = 100_000;

/**
 * Finds the keys that may have made `signature`: those with the fingerprint that it names, or with the key ID, where it
 * names no more.
 *
 * What comes with the signature counts like a copy in a keyring, if a keyring holds its primary key: new signing subkeys
 * come into use that way without touching the machines, as they do with systemd 262 (gpg --auto-key-import
 * --import-options=merge-only). Nothing in a copy is believed that its primary key has not signed: {@link requireUsable}.
 */
async function findCandidates(signature: ReadSignature, keyring: Keyring): Promise<readonly Candidate[]> {
  const embedded = await embeddedCertificates(signature);
  return keyring.keys.flatMap((known) => {
    const copies = embedded.filter(({ fingerprint }) => fingerprint === known.fingerprint);
    const certificate = copies.length === 0 ? known : copyOf(known);
    for (const copy of copies) mergeInto(certificate, copy);
    return keysOf(certificate)
      .filter((key) => isIssuer(key, signature.issuer))
      .map((key) => ({ certificate, key }));
  });
}

async function embeddedCertificates({ packet }: ReadSignature): Promise<readonly Certificate[]> {
  const certificates: Certificate[] = [];
  for (const { type, body } of packet.unknownSubpackets) {
    if (type !== KEY_BLOCK_SUBPACKET) continue;
    try {
      certificates.push(
        ...(await readCertificates(splitPackets(body.subarray(1), EMBEDDED_PACKETS_MAX))).certificates,
      );
    } catch {
      // What cannot be read is left out: the signature is then one by an unknown key.
    }
  }
  return certificates;
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

function requireStrongDigest({ packet }: ReadSignature, { made }: Judging): void {
  const digest = packet.hashAlgorithm ?? 0;
  if (STRONG_DIGESTS.has(digest)) return;
  throw new RdpullError(
    'signature-weak',
    `${made} uses the digest ${WEAK_DIGESTS.get(digest) ?? `number ${digest}`}, which does not protect against forgery`,
    'sign the file again with: gpg --digest-algo SHA512 --armor --detach-sign FILE',
  );
}

function unknownKey(
  { issuer }: ReadSignature,
  { made }: Judging,
  { files, passedOver }: Keyring,
): RdpullError {
  const unusable = passedOver.length === 0 ? '' : `; ${passedOver.join('; ')}`;
  return new RdpullError(
    'signature-unknown-key',
    `${made} was made by the key ${printable(issuer.toUpperCase())}, which is not in ${files.map(printable).join(' or ')}${unusable}`,
    "if the key is yours, add it to the initrd's /etc/systemd/import-pubring.pgp or name its file with --keyring=FILE; if not, find out who signed",
  );
}

/** Whether `key` has made this signature over the bytes of `file`. */
async function isBy(
  { packet, type, madeAt }: ReadSignature,
  key: KeyPacket,
  file: SignedFile,
): Promise<boolean> {
  const { createMessage } = await import('openpgp');
  const [document] = (await createMessage({ binary: file.content })).packets;
  if (document === undefined) throw new Error('OpenPGP.js made an empty message');
  try {
    // At its own date, so that nothing but the mathematics can fail here.
    await packet.verify(key, type, document, madeAt, true);
    return true;
  } catch {
    return false;
  }
}

function notSigned({ certificate, key }: Candidate, { made }: Judging, file: SignedFile): RdpullError {
  return new RdpullError(
    'signature-bad',
    `${made} does not match ${file.url}: this is not the file that ${describeKey(certificate, key)} signed`,
    'sign the file again if you changed it; if you did not, find out who did',
  );
}

function requireTimely(
  { packet, madeAt }: ReadSignature,
  name: string,
  key: KeyPacket,
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
  if (madeAt < key.created) {
    throw new RdpullError(
      'signature-bad',
      `${made} is dated ${madeAt.toISOString()}, before ${name} was made on ${key.created.toISOString()}`,
      'sign the file again, on a machine whose clock is right',
    );
  }
}
