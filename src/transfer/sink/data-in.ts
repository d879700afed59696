/** The unit of a hole: the block size of every file system and the page of tmpfs. */
const BLOCK_BYTES = 4096;
const ZEROS = Buffer.alloc(BLOCK_BYTES);

/** The parts of `chunk` between its blocks of zeros. The blocks are those of the file, in which it begins at `offset`. */
export function* dataIn(
  chunk: Uint8Array,
  offset: number,
): Generator<{ readonly start: number; readonly end: number }> {
  let start = 0;
  for (let at = 0; at < chunk.length; ) {
    const end = Math.min(at + BLOCK_BYTES - ((offset + at) % BLOCK_BYTES), chunk.length);
    if (isZero(chunk, at, end)) {
      if (start < at) yield { start, end: at };
      start = end;
    }
    at = end;
  }
  if (start < chunk.length) yield { start, end: chunk.length };
}

function isZero(chunk: Uint8Array, start: number, end: number): boolean {
  if (chunk[start] !== 0 || chunk[end - 1] !== 0) return false;
  return ZEROS.compare(chunk, start, end, 0, end - start) === 0;
}
