import type { SignaturePacket } from 'openpgp';
import type { KeyPacket } from './certificate.ts';

/** RFC 9580, section 5.2.3.23, "Revocation Key", whose class has this bit set. */
const REVOCATION_KEY_SUBPACKET = 12;
const REVOCATION_KEY_CLASS = 0x80;
const FINGERPRINT_BYTES = 20;

/** A signature packet of version 4 or 6, read but not checked: all of this is what it says of itself. */
export interface ReadSignature {
  readonly packet: SignaturePacket;
  readonly type: number;
  readonly madeAt: Date;
  /** The fingerprint of the key that made it, else its 16-digit key ID; lower-case hexadecimal digits. Empty: none is named. */
  readonly issuer: string;
}

/** Undefined for one that is of another version or algorithm, or damaged. */
export async function readSignature(body: Uint8Array): Promise<ReadSignature | undefined> {
  const { SignaturePacket } = await import('openpgp');
  const packet = new SignaturePacket();
  try {
    packet.read(body);
  } catch {
    return undefined;
  }
  return readOf(packet);
}

/** What a packet says of itself; undefined when it does not say when it was made. */
export function readOf(packet: SignaturePacket): ReadSignature | undefined {
  const { signatureType: type, created: madeAt } = packet;
  if (type === null || madeAt === null || Number.isNaN(madeAt.getTime())) return undefined;
  // OpenPGP.js keeps one of the revokers that a signature may name, and then takes it for invalid: see revokersIn().
  packet.revocationKeyClass = null;
  const issuer =
    packet.issuerFingerprint === null
      ? packet.issuerKeyID.toHex()
      : Buffer.from(packet.issuerFingerprint).toString('hex');
  return { packet, type, madeAt, issuer };
}

/** Whether `key` is the one that a signature says made it. */
export function isIssuer(key: KeyPacket, issuer: string): boolean {
  return key.getFingerprint() === issuer || key.getKeyID().toHex() === issuer;
}

/** The fingerprints of the keys that may revoke what the maker of this signature has made: its designated revokers. */
export function revokersIn({ packet }: ReadSignature): string[] {
  const { signatureData, version } = packet;
  if (signatureData === null) return [];
  // Version, type, two algorithms, and the length of the hashed subpackets (RFC 9580, section 5.2.3).
  const subpackets = signatureData.subarray(version === 6 ? 8 : 6);
  const revokers: string[] = [];
  for (let at = 0; at < subpackets.length; ) {
    const { start, end } = subpacketAt(subpackets, at);
    const [type = 0, revocationClass = 0, , ...fingerprint] = subpackets.subarray(start, end);
    if (
      (type & 0x7f) === REVOCATION_KEY_SUBPACKET &&
      (revocationClass & REVOCATION_KEY_CLASS) !== 0 &&
      fingerprint.length === FINGERPRINT_BYTES
    ) {
      revokers.push(Buffer.from(fingerprint).toString('hex'));
    }
    at = end;
  }
  return revokers;
}

/** RFC 9580, section 5.2.3.7: where the subpacket at `at` lies, from its type on. */
function subpacketAt(bytes: Uint8Array, at: number): { start: number; end: number } {
  const octet = (offset: number) => bytes[at + offset] ?? 0;
  const first = octet(0);
  if (first < 192) return { start: at + 1, end: at + 1 + first };
  if (first < 255) return { start: at + 2, end: at + 2 + ((first - 192) << 8) + octet(1) + 192 };
  const length = ((octet(1) << 24) | (octet(2) << 16) | (octet(3) << 8) | octet(4)) >>> 0;
  return { start: at + 5, end: at + 5 + length };
}
