/** A packet of an OpenPGP file, taken out of its frame and not looked into. */
export interface Packet {
  /** The packet type (RFC 9580, section 5). */
  readonly tag: number;
  readonly body: Uint8Array;
}

/** Packet types (RFC 9580, section 5). */
export const TAG = {
  signature: 2,
  secretKey: 5,
  publicKey: 6,
  secretSubkey: 7,
  marker: 10,
  trust: 12,
  userId: 13,
  publicSubkey: 14,
  userAttribute: 17,
  padding: 21,
} as const;

/** To be passed over wherever they stand (RFC 9580, sections 5.8, 5.10 and 5.14). */
const MEANINGLESS: readonly number[] = [TAG.marker, TAG.trust, TAG.padding];

/**
 * Takes a sequence of packets apart (RFC 9580, section 4.2), without those that mean nothing anywhere.
 *
 * @param max how many there may be: each costs some hundred bytes
 * @throws Error when the frames do not add up to the whole of `bytes`: nobody knows then what is missing
 */
export function splitPackets(bytes: Uint8Array, max: number): Packet[] {
  const packets: Packet[] = [];
  for (let at = 0; at < bytes.length; ) {
    const { tag, start, end } = frameAt(bytes, at);
    if (end > bytes.length) throw new Error('it is cut short');
    at = end;
    if (MEANINGLESS.includes(tag)) continue;
    if (packets.length === max) throw new Error(`it holds more than the ${max} packets that are read`);
    packets.push({ tag, body: bytes.subarray(start, end) });
  }
  return packets;
}

/** The type of the packet that begins at `at`, and where its body lies. */
function frameAt(bytes: Uint8Array, at: number): { tag: number; start: number; end: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const first = bytes[at] ?? 0;
  if ((first & 0x80) === 0) throw new Error('there is something between its packets that is none');
  try {
    if ((first & 0x40) === 0) {
      const length = oldLength(view, at + 1, first & 3);
      return {
        tag: (first >> 2) & 0x0f,
        start: at + 1 + length.octets,
        end: at + 1 + length.octets + length.value,
      };
    }
    const length = newLength(view, at + 1);
    return { tag: first & 0x3f, start: at + 1 + length.octets, end: at + 1 + length.octets + length.value };
  } catch (error) {
    if (error instanceof RangeError) throw new Error('it is cut short', { cause: error });
    throw error;
  }
}

interface Length {
  readonly octets: number;
  readonly value: number;
}

/** RFC 9580, section 4.2.2: the length type of the legacy format. */
function oldLength(view: DataView, at: number, type: number): Length {
  if (type === 0) return { octets: 1, value: view.getUint8(at) };
  if (type === 1) return { octets: 2, value: view.getUint16(at) };
  if (type === 2) return { octets: 4, value: view.getUint32(at) };
  throw new Error('it holds a packet without a length, which only data may be');
}

/** RFC 9580, section 4.2.1. */
function newLength(view: DataView, at: number): Length {
  const first = view.getUint8(at);
  if (first < 192) return { octets: 1, value: first };
  if (first < 224) return { octets: 2, value: ((first - 192) << 8) + view.getUint8(at + 1) + 192 };
  if (first === 255) return { octets: 5, value: view.getUint32(at + 1) };
  throw new Error('it holds a packet in parts, which only data may be');
}
