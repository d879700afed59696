import type { SignaturePacket } from 'openpgp';
import { quoted } from '../../console/printable.ts';
import { RdpullError, reasonOf } from '../../console/rdpull-error.ts';
import { readArmor } from './armor.ts';

/** The longest signature file that is read, in bytes: room for the certificate that gpg --include-key-block adds. */
const SIGNATURE_MAX = 256 * 1024;

/** How many signatures of one file are tried: each one costs a public-key operation. */
const SIGNATURES_MAX = 16;

/** RFC 9580, section 5.2.1: a signature of a binary document (0x00) or of a canonical text document (0x01). */
const DOCUMENT_SIGNATURES: readonly (number | null)[] = [0x00, 0x01];

const ARMOR_LABEL = 'PGP SIGNATURE';
const HINT = 'make it with: gpg --armor --detach-sign FILE';

/** One signature over a file, read but not checked: all of this is what the signature says of itself. */
export interface DetachedSignature {
  readonly packet: SignaturePacket;
  readonly madeAt: Date;
  /** The fingerprint of the key that made it, else its 16-digit key ID; hexadecimal digits in lower case. */
  readonly issuer: string;
}

/**
 * Reads a detached signature, armored (several blocks may follow each other) or binary (several packets may).
 *
 * @returns at least one
 * @throws RdpullError signature-malformed for anything else, and for anything besides the signatures
 */
export async function readDetachedSignatures(
  content: Uint8Array,
  url: string,
): Promise<readonly DetachedSignature[]> {
  const malformed = (reason: string, cause?: unknown) =>
    new RdpullError('signature-malformed', `${url} is no detached signature: ${reason}`, HINT, { cause });
  if (content.length > SIGNATURE_MAX) {
    throw malformed(`it has ${content.length} bytes, more than the ${SIGNATURE_MAX} that are read`);
  }

  const openpgp = await import('openpgp');
  const packets: unknown[] = [];
  try {
    // The first octet of a binary packet has its highest bit set (RFC 9580, section 4.2).
    if (((content[0] ?? 0) & 0x80) !== 0) {
      packets.push(...(await openpgp.readSignature({ binarySignature: content })).packets);
    } else {
      for (const armoredSignature of armoredSignatures(content)) {
        packets.push(...(await openpgp.readSignature({ armoredSignature })).packets);
      }
    }
  } catch (error) {
    throw malformed(reasonOf(error), error);
  }

  // OpenPGP.js hands over packets of a kind or version that it does not know as an UnparseablePacket.
  const signatures = packets.filter((packet) => packet instanceof openpgp.SignaturePacket);
  if (signatures.length < packets.length) {
    throw malformed('it holds packets that are no OpenPGP signature of version 4 or 6');
  }
  if (signatures.length === 0) throw malformed('there is no signature in it');
  if (signatures.length > SIGNATURES_MAX) {
    throw malformed(
      `it holds ${signatures.length} signatures, more than the ${SIGNATURES_MAX} that are tried`,
    );
  }
  return signatures.map((packet) => {
    if (!DOCUMENT_SIGNATURES.includes(packet.signatureType)) {
      throw malformed('it signs something else than a file (a key, for instance)');
    }
    if ([...packet.unknownSubpackets, ...packet.rawNotations].some(({ critical }) => critical)) {
      throw malformed(
        'it says itself that it must not be accepted by who does not know all of its properties',
      );
    }
    const issuer =
      packet.issuerFingerprint === null
        ? packet.issuerKeyID.toHex()
        : Buffer.from(packet.issuerFingerprint).toString('hex');
    if (packet.created === null || issuer === '') {
      throw malformed('it does not say when it was made and by which key');
    }
    return { packet, madeAt: packet.created, issuer };
  });
}

/** @throws Error when there is anything but armored signatures */
function armoredSignatures(content: Uint8Array): string[] {
  const text = new TextDecoder().decode(content);
  const { blocks, hasOtherText } = readArmor(text);
  const stranger = blocks.find(({ label }) => label !== ARMOR_LABEL)?.label;
  if (stranger !== undefined || text.includes('-----BEGIN PGP SIGNED MESSAGE-----')) {
    throw new Error(`it is a ${stranger ?? 'PGP SIGNED MESSAGE, which carries the signed text in itself'}`);
  }
  if (blocks.length === 0) throw new Error(`it begins with ${quoted(text.slice(0, 40))}`);
  if (hasOtherText) throw new Error('there is other text before or after the signature');
  return blocks.map((block) => block.text);
}
