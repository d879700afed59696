import { printable, quoted } from '../../console/printable.ts';
import { RdpullError, reasonOf } from '../../console/rdpull-error.ts';
import { bytesOfArmor, readArmor } from './armor.ts';
import { splitPackets, TAG } from './packets.ts';
import { type ReadSignature, readSignature } from './signature-packet.ts';
import { SIGNATURE_TYPE } from './signature-type.ts';

/** The longest signature file that is read, in bytes: room for the certificate that gpg --include-key-block adds. */
const SIGNATURE_MAX = 256 * 1024;

/** How many signatures of one file are tried: each one costs a public-key operation. */
const SIGNATURES_MAX = 16;

const DOCUMENT_SIGNATURES: readonly number[] = [SIGNATURE_TYPE.binaryDocument, SIGNATURE_TYPE.textDocument];

const ARMOR_LABEL = 'PGP SIGNATURE';
const HINT = 'make it with: gpg --armor --detach-sign FILE';

/**
 * Reads a detached signature, armored (several blocks may follow each other) or binary (several packets may). Those that
 * cannot be used, of a version or an algorithm that is not known here or damaged, are left out where there are others.
 *
 * @returns at least one
 * @throws RdpullError signature-malformed for anything else, and for anything besides the signatures
 */
export async function readDetachedSignatures(
  content: Uint8Array,
  url: string,
): Promise<readonly ReadSignature[]> {
  const malformed = (reason: string, cause?: unknown) =>
    new RdpullError('signature-malformed', `${url} is no detached signature: ${reason}`, HINT, { cause });
  if (content.length > SIGNATURE_MAX) {
    throw malformed(`it has ${content.length} bytes, more than the ${SIGNATURE_MAX} that are read`);
  }

  let bodies: Uint8Array[];
  try {
    bodies = signatureBodies(content);
  } catch (error) {
    throw malformed(reasonOf(error), error);
  }
  if (bodies.length === 0) throw malformed('there is no signature in it');
  if (bodies.length > SIGNATURES_MAX) {
    throw malformed(`it holds ${bodies.length} signatures, more than the ${SIGNATURES_MAX} that are tried`);
  }
  const signatures: ReadSignature[] = [];
  let reason: string | undefined;
  for (const body of bodies) {
    const signature = await readSignature(body);
    const defect = signature === undefined ? whySignatureIsUnreadable(body) : defectOf(signature);
    if (signature !== undefined && defect === undefined) signatures.push(signature);
    else reason ??= defect;
  }
  if (signatures.length === 0 && reason !== undefined) throw malformed(reason);
  return signatures;
}

/** Why a signature cannot be used, whoever has made it. */
function defectOf({ packet, type, issuer }: ReadSignature): string | undefined {
  if (!DOCUMENT_SIGNATURES.includes(type)) return 'it signs something else than a file (a key, for instance)';
  if ([...packet.unknownSubpackets, ...packet.rawNotations].some(({ critical }) => critical)) {
    return 'it says itself that it must not be accepted by who does not know all of its properties';
  }
  return issuer === '' ? 'it does not say by which key it was made' : undefined;
}

/** RFC 9580, section 5.2.3: a signature has its version first, and its algorithm in the third octet. */
function whySignatureIsUnreadable([version = 0, , algorithm = 0]: Uint8Array): string {
  return version === 4 || version === 6
    ? `it is damaged, or of an algorithm that is not known here (number ${algorithm})`
    : `it is of version ${version}, and only 4 and 6 are known here`;
}

/** @throws Error when there is anything but signatures */
function signatureBodies(content: Uint8Array): Uint8Array[] {
  // The first octet of a binary packet has its highest bit set (RFC 9580, section 4.2).
  const parts = ((content[0] ?? 0) & 0x80) !== 0 ? [content] : armoredSignatures(content);
  // More of them are refused, with their number, which is bounded by the length of the file.
  const packets = parts.flatMap((part) => splitPackets(part, SIGNATURE_MAX));
  if (packets.some(({ tag }) => tag !== TAG.signature)) {
    throw new Error('it holds packets that are no OpenPGP signature');
  }
  return packets.map(({ body }) => body);
}

/** @throws Error when there is anything but armored signatures */
function armoredSignatures(content: Uint8Array): Uint8Array[] {
  const text = new TextDecoder().decode(content);
  const { blocks, hasOtherText } = readArmor(text);
  const stranger = blocks.find(({ label }) => label !== ARMOR_LABEL)?.label;
  if (stranger !== undefined || text.includes('-----BEGIN PGP SIGNED MESSAGE-----')) {
    const what = stranger ?? 'PGP SIGNED MESSAGE, which carries the signed text in itself';
    throw new Error(`it is a ${printable(what)}`);
  }
  if (blocks.length === 0) throw new Error(`it begins with ${quoted(text.slice(0, 40))}`);
  if (hasOtherText) throw new Error('there is other text before or after the signature');
  return blocks.map(bytesOfArmor);
}
