/**
 * Gives back the memory of a chunk, where that is all there is in its buffer: garbage would be collected later, and new memory
 * taken meanwhile.
 */
export function releaseBytes(chunk: Uint8Array | undefined): void {
  if (chunk === undefined || chunk.byteLength !== chunk.buffer.byteLength) return;
  if (chunk.buffer instanceof ArrayBuffer) chunk.buffer.transfer(0);
}
