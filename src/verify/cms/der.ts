import type { AsnType } from 'asn1js';

/**
 * Reads one value in DER (X.690). asn1js reads more than that: lengths that do not fit, or are not written in the one way
 * that DER has for them, and bytes behind the end. So what it would write has to be what it has read.
 *
 * @throws Error when the bytes are no such value
 */
export async function readDer(bytes: Uint8Array): Promise<AsnType> {
  const { fromBER } = await import('asn1js');
  const { result } = fromBER(bytesOf(bytes));
  if (Buffer.compare(new Uint8Array(result.toBER()), bytes) !== 0 || !hasShortestLengths(result)) {
    throw new Error('it is cut short or not DER, or something follows it');
  }
  return result;
}

/** X.690, section 10.1: no length is indefinite, or longer than it need be. asn1js writes such lengths as it has read them. */
function hasShortestLengths({ idBlock, lenBlock, valueBlock }: AsnType): boolean {
  if (lenBlock.isIndefiniteForm || (lenBlock.longFormUsed && lenBlock.length < 0x80)) return false;
  const parts: unknown = idBlock.isConstructed && 'value' in valueBlock ? valueBlock.value : [];
  return !Array.isArray(parts) || parts.every(hasShortestLengths);
}

/** The bytes alone: asn1js and pkijs read the whole of the buffer behind a view. */
export function bytesOf(view: Uint8Array): ArrayBuffer {
  const bytes = new ArrayBuffer(view.length);
  new Uint8Array(bytes).set(view);
  return bytes;
}
