/** Deeper than any signature with its certificates goes. */
const MAX_DEPTH = 64;
/** Bits of an identifier octet and of a length octet (X.690, sections 8.1.2 and 8.1.3). */
const CONSTRUCTED = 0x20;
const HIGH_TAG_NUMBER = 0x1f;
const LONG_FORM = 0x80;

/**
 * Whether `bytes` are one value in DER (X.690) as far as its lengths go: each value fills what encloses it exactly.
 * asn1js does not mind when they do not.
 */
export function isWellFormedDer(bytes: Uint8Array): boolean {
  return endOfValue(bytes, 0, bytes.length, 0) === bytes.length;
}

/** Where the value at `start` ends; undefined when it is not well formed, or longer than what encloses it. */
function endOfValue(bytes: Uint8Array, start: number, limit: number, depth: number): number | undefined {
  const identifier = bytes[start] ?? HIGH_TAG_NUMBER;
  const first = bytes[start + 1];
  if (depth > MAX_DEPTH || first === undefined || (identifier & HIGH_TAG_NUMBER) === HIGH_TAG_NUMBER) {
    return undefined;
  }
  const octets = first < LONG_FORM ? 0 : first - LONG_FORM;
  let length = first < LONG_FORM ? first : 0;
  // Without octets, the length would be indefinite; with more, longer than any file that is read.
  if (first >= LONG_FORM && (octets === 0 || octets > 3)) return undefined;
  for (const octet of bytes.subarray(start + 2, start + 2 + octets)) length = length * 256 + octet;

  const begin = start + 2 + octets;
  const end = begin + length;
  if (end > limit) return undefined;
  if ((identifier & CONSTRUCTED) === 0) return end;
  let position: number | undefined = begin;
  while (position !== undefined && position < end) position = endOfValue(bytes, position, end, depth + 1);
  return position === end ? end : undefined;
}
