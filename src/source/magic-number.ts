/**
 * Whether a file has a magic number. Not by `Buffer.from()`: its first call takes each thread half a million instructions.
 *
 * @param characters one for each byte of it
 * @param offset where it has to be in `bytes`
 */
export function hasMagic(bytes: Uint8Array, characters: string, offset = 0): boolean {
  for (let at = 0; at < characters.length; at++) {
    if (bytes[offset + at] !== characters.charCodeAt(at)) return false;
  }
  return true;
}
