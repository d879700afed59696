import type { PublicKeyPacket, PublicSubkeyPacket } from 'openpgp';
import { quoted } from '../../console/printable.ts';
import { type Packet, TAG } from './packets.ts';
import { SIGNATURE_TYPE } from './signature-type.ts';

/** Signature packets as they stand, each once: none of them is read or believed before it is needed. */
export type Signatures = Map<string, Uint8Array>;

/**
 * A key of a keyring with all that was found with it (RFC 9580, section 10.1), taken apart by what the signatures are
 * over. Copies of one key are one certificate, so that a revocation in one of them counts.
 */
export interface Certificate {
  readonly primary: PublicKeyPacket;
  /** Of the primary key: lower-case hexadecimal digits. */
  readonly fingerprint: string;
  /** Signatures over the primary key itself. */
  readonly signatures: Signatures;
  /** By their bytes: they need not be text. */
  readonly users: Map<string, UserId>;
  /** By their fingerprints. */
  readonly subkeys: Map<string, Subkey>;
}

export interface UserId {
  readonly bytes: Uint8Array;
  readonly signatures: Signatures;
}

export interface Subkey {
  readonly key: PublicSubkeyPacket;
  readonly signatures: Signatures;
}

/** What was found among packets that are to be keys. */
export interface Certificates {
  readonly certificates: readonly Certificate[];
  /** What each key is that cannot be used, in words. */
  readonly unusable: readonly string[];
  /** Revocations of keys that stand before any key, as gpg --generate-revocation makes them. */
  readonly revocations: readonly Uint8Array[];
}

/**
 * Sorts packets by keys, and of each key by what its signatures are over. What is unknown, damaged or of no use here
 * takes nothing with it but the signatures over itself.
 *
 * Only signatures that may be by the key itself are kept, and revocations: the certifications by others, of which there
 * may be any number, say nothing here.
 */
export async function readCertificates(packets: readonly Packet[]): Promise<Certificates> {
  const { PublicKeyPacket, PublicSubkeyPacket } = await import('openpgp');
  const certificates: Certificate[] = [];
  const unusable: string[] = [];
  const revocations: Uint8Array[] = [];
  let certificate: Certificate | undefined;
  /** Where the signatures go that follow; undefined when what they are over is not kept. */
  let target: Signatures | undefined;
  let keyId: Uint8Array = new Uint8Array();

  for (const { tag, body } of packets) {
    switch (tag) {
      case TAG.publicKey: {
        const primary = await readKey(new PublicKeyPacket(), body);
        certificate = primary && {
          primary,
          fingerprint: primary.getFingerprint(),
          signatures: new Map(),
          users: new Map(),
          subkeys: new Map(),
        };
        if (certificate === undefined) unusable.push(whatKeyIs(body));
        else certificates.push(certificate);
        target = certificate?.signatures;
        keyId = Buffer.from(primary?.getKeyID().toHex() ?? '', 'hex');
        break;
      }
      case TAG.userId: {
        const user: UserId = { bytes: body, signatures: new Map() };
        target = certificate && getOrInsert(certificate.users, latin1(body), user).signatures;
        break;
      }
      case TAG.publicSubkey: {
        const key = certificate && (await readKey(new PublicSubkeyPacket(), body));
        const subkey = key && { key, signatures: new Map() };
        target =
          certificate && subkey && getOrInsert(certificate.subkeys, key.getFingerprint(), subkey).signatures;
        break;
      }
      case TAG.signature:
        if (certificates.length + unusable.length === 0) revocations.push(body);
        else if (target !== undefined && mayCount(body, keyId)) target.set(latin1(body), body);
        break;
      case TAG.userAttribute:
        // A picture, mostly.
        target = undefined;
        break;
      default:
      // What is unknown, or does not belong here, is as good as not there.
    }
  }
  return { certificates, unusable, revocations };
}

/** Puts what a copy of a certificate knows into another one. */
export function mergeInto(certificate: Certificate, copy: Certificate): void {
  const add = (to: Signatures, from: Signatures) => {
    for (const [bytes, signature] of from) to.set(bytes, signature);
  };
  add(certificate.signatures, copy.signatures);
  for (const [id, user] of copy.users) {
    add(
      getOrInsert(certificate.users, id, { bytes: user.bytes, signatures: new Map() }).signatures,
      user.signatures,
    );
  }
  for (const [id, subkey] of copy.subkeys) {
    add(
      getOrInsert(certificate.subkeys, id, { key: subkey.key, signatures: new Map() }).signatures,
      subkey.signatures,
    );
  }
}

/** Puts a revocation that was found without its key to the key. */
export function addRevocation(certificate: Certificate, revocation: Uint8Array): void {
  certificate.signatures.set(latin1(revocation), revocation);
}

/** A certificate that knows the same, and can learn more without `certificate` doing so. */
export function copyOf(certificate: Certificate): Certificate {
  const copy = { ...certificate, signatures: new Map(), users: new Map(), subkeys: new Map() };
  mergeInto(copy, certificate);
  return copy;
}

/** One of the keys of a certificate: the primary key itself or a subkey. */
export type KeyPacket = PublicKeyPacket | PublicSubkeyPacket;

/** All keys of a certificate, the primary key first. */
export function keysOf({ primary, subkeys }: Certificate): readonly KeyPacket[] {
  return [primary, ...[...subkeys.values()].map(({ key }) => key)];
}

/** A key as a person knows it: the fingerprint of the primary key, and its first user ID. */
export function describeKey({ primary, fingerprint, users }: Certificate, key: KeyPacket): string {
  const [user] = users.values();
  const name = `${fingerprint.toUpperCase()}${user === undefined ? '' : ` ${quoted(textOf(user))}`}`;
  return key === primary
    ? `the key ${name}`
    : `the subkey ${key.getFingerprint().toUpperCase()} of the key ${name}`;
}

/** A user ID as text; what is no UTF-8 in it becomes U+FFFD. */
export function textOf({ bytes }: UserId): string {
  return new TextDecoder().decode(bytes);
}

async function readKey<K extends KeyPacket>(packet: K, body: Uint8Array): Promise<K | undefined> {
  try {
    await packet.read(body);
    return packet;
  } catch {
    // Of a version or an algorithm that the library does not know, or damaged.
    return undefined;
  }
}

/** RFC 9580, section 9.1: what has a number, and is known here. */
const ALGORITHMS: readonly number[] = [1, 2, 3, 16, 17, 18, 19, 22, 25, 26, 27, 28];

/** Why a key cannot be used: RFC 9580, section 5.5.2, has its version first, and its algorithm in the sixth octet. */
function whatKeyIs(body: Uint8Array): string {
  const [version = 0, , , , , algorithm = 0] = body;
  if (version !== 4 && version !== 6) return `of version ${version}`;
  return ALGORITHMS.includes(algorithm) ? 'that cannot be read' : `of the unknown algorithm ${algorithm}`;
}

/** Whether a signature names the key with `keyId` anywhere, or is a revocation, which others may have made. */
function mayCount(signature: Uint8Array, keyId: Uint8Array): boolean {
  const [, type = 0] = signature;
  return (
    REVOCATIONS.includes(type) ||
    Buffer.from(signature.buffer, signature.byteOffset, signature.length).includes(keyId)
  );
}

const REVOCATIONS: readonly number[] = [
  SIGNATURE_TYPE.keyRevocation,
  SIGNATURE_TYPE.subkeyRevocation,
  SIGNATURE_TYPE.certificationRevocation,
];

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

/** The value of `key`, which is `otherwise` from now on if there was none. */
function getOrInsert<V>(map: Map<string, V>, key: string, otherwise: V): V {
  const value = map.get(key) ?? otherwise;
  map.set(key, value);
  return value;
}
