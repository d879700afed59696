/** What is taken at first, in bytes. */
const FIRST = 4096;

/**
 * Bytes that are kept whole, however small the pieces are in which they come: in one buffer, which grows with them, so that they
 * take no more than twice their length, and for the moment in which it grows three times.
 */
export interface KeptBytes {
  readonly length: number;
  /** @returns whether there was room: false when there would be more than `most` */
  add(piece: Uint8Array): boolean;
  /** All of them: a view that is valid until the next is added. */
  bytes(): Uint8Array;
}

/**
 * @param most bytes that are kept
 * @param expected how many will come, where somebody says so
 */
export function keepBytes(most: number, expected = 0): KeptBytes {
  let buffer = new Uint8Array(Math.min(most, Math.max(FIRST, expected)));
  let length = 0;
  return {
    get length() {
      return length;
    },
    add(piece) {
      const needed = length + piece.length;
      if (needed > most) return false;
      if (needed > buffer.length) {
        const larger = new Uint8Array(Math.min(most, Math.max(needed, 2 * buffer.length)));
        larger.set(buffer.subarray(0, length));
        buffer = larger;
      }
      buffer.set(piece, length);
      length = needed;
      return true;
    },
    bytes: () => buffer.subarray(0, length),
  };
}
