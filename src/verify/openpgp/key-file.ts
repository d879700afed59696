import { type ArmoredBlock, bytesOfArmor, readArmor } from './armor.ts';
import { type Certificates, readCertificates } from './certificate.ts';
import { isKeybox, keyboxCertificates } from './keybox.ts';
import { type Packet, splitPackets, TAG } from './packets.ts';

/** How many packets of one file are read, at 200 bytes of memory each, and how many of them may be keys, at 30 us each. */
const PACKETS_MAX = 200_000;
const KEYS_MAX = 10_000;

/**
 * Reads the keys of one file: armored (any number of blocks, with text around them), binary (`gpg --export`) or a keybox;
 * none, if it is empty.
 *
 * @throws Error when it is something else, ends in the middle, or holds a secret key
 */
export async function readKeyFile(content: Uint8Array): Promise<Certificates> {
  if (content.length === 0) return { certificates: [], unusable: [], revocations: [] };
  const { readable, damaged } = partsOf(content);
  const packets = readable.flat();
  if (packets.length > PACKETS_MAX) {
    throw new Error(`it holds ${packets.length} packets, more than the ${PACKETS_MAX} that are read`);
  }
  if (packets.some(({ tag }) => tag === TAG.secretKey || tag === TAG.secretSubkey)) {
    throw new Error('it holds a secret key, which must not be on the machines that only verify');
  }
  const keys = packets.filter(({ tag }) => tag === TAG.publicKey || tag === TAG.publicSubkey).length;
  if (keys > KEYS_MAX) throw new Error(`it holds ${keys} keys, more than the ${KEYS_MAX} that are read`);

  const found: Certificates[] = [];
  for (const part of readable) found.push(await readCertificates(part));
  const certificates = found.flatMap((each) => each.certificates);
  const revocations = found.flatMap((each) => each.revocations);
  const unusable = [...found.flatMap((each) => each.unusable), ...damaged];
  if (certificates.length + revocations.length + unusable.length === 0 && packets.length > 0) {
    throw new Error('it holds no key');
  }
  return { certificates, revocations, unusable };
}

/** The parts of a file that stand or fall alone. */
interface Parts {
  readonly readable: readonly (readonly Packet[])[];
  /** What each of the others is, in words that follow a number of keys. */
  readonly damaged: readonly string[];
}

const DAMAGED_BLOCK = 'in an armored block that cannot be read';

function partsOf(content: Uint8Array): Parts {
  if (isKeybox(content)) {
    return readParts(keyboxCertificates(content), (part) => part, 'in a keybox, and damaged');
  }
  // The first octet of a binary packet has its highest bit set (RFC 9580, section 4.2).
  if (((content[0] ?? 0) & 0x80) !== 0) {
    return { readable: [splitPackets(content, PACKETS_MAX)], damaged: [] };
  }
  const text = new TextDecoder().decode(content);
  const { blocks } = readArmor(text);
  if (blocks.length === 0) throw new Error('it is neither armored nor binary OpenPGP, nor a keybox');
  const { readable, damaged } = readParts(blocks, keyBytes, DAMAGED_BLOCK);
  if (readable.length === 0) throw new Error('none of its armored blocks holds a key that can be read');
  const begun = text.match(/^-----BEGIN PGP PUBLIC KEY BLOCK-----/gm)?.length ?? 0;
  const unended = Math.max(0, begun - blocks.length);
  return { readable, damaged: [...damaged, ...Array<string>(unended).fill(DAMAGED_BLOCK)] };
}

function keyBytes(block: ArmoredBlock): Uint8Array {
  if (!block.label.endsWith('KEY BLOCK')) throw new Error(`it is a ${block.label}`);
  return bytesOfArmor(block);
}

function readParts<P>(parts: readonly P[], bytesOf: (part: P) => Uint8Array, whatElse: string): Parts {
  const readable: Packet[][] = [];
  const damaged: string[] = [];
  for (const part of parts) {
    try {
      readable.push(splitPackets(bytesOf(part), PACKETS_MAX));
    } catch {
      damaged.push(whatElse);
    }
  }
  return { readable, damaged };
}
