import type { BlockMap } from './block-map.ts';
import type { Chunk, ChunkTable } from './chunk-index.ts';

const ZEROS = new Uint8Array(256 * 1024);

/**
 * The bytes that a chunk of `length` bytes may be stored in at most: what cannot be packed grows, with zstd by a 256th and less than
 * 64 KiB (zstd.h: `ZSTD_COMPRESSBOUND`), with xz and gzip by less.
 */
export function mostStored(length: number): number {
  return length + Math.ceil(length / 256) + 64 * 1024;
}

/**
 * An image in chunks, each of which is a file of its own on a server. Where one would lie in a file is where it lies in the image: they
 * follow each other.
 */
export function chunkMap(table: ChunkTable): BlockMap {
  const { algorithm } = table;
  const isZeros = zerosIn(table);
  return {
    format: 'caibx',
    size: table.size,
    largestBlock: table.largest,
    largestStored: mostStored(table.largest),
    async at(offset) {
      const number = table.numberAt(offset);
      const chunk = table.chunk(number);
      const { start, length } = chunk;
      if (isZeros(number)) return { start, length, content: { kind: 'zeros' } };
      const digest = digestText(chunk);
      const encoding = { kind: 'chunk', algorithm, digest } as const;
      return { start, length, content: { kind: 'stored', offset: start, length, encoding } };
    },
  };
}

/** Bytes of the image that are more than holes, as far as the index tells. */
export function occupiedByChunks(table: ChunkTable): number {
  const isZeros = zerosIn(table);
  let holes = 0;
  for (let number = 0; number < table.count; number++) if (isZeros(number)) holes += table.length(number);
  return table.size - holes;
}

/** Tells of which numbers the chunks are holes: those are of the largest size. */
export function zerosIn(table: ChunkTable): (number: number) => boolean {
  const { algorithm, largestMade } = table;
  const hasher = new Bun.CryptoHasher(algorithm);
  for (let left = largestMade; left > 0; left -= ZEROS.length)
    hasher.update(left < ZEROS.length ? ZEROS.subarray(0, left) : ZEROS);
  const zeros = hasher.digest();
  return (number) => table.length(number) === largestMade && zeros.equals(table.digest(number));
}

/** What a chunk is called by, in lower-case hexadecimal. */
function digestText({ digest }: Chunk): string {
  return Buffer.from(digest.buffer, digest.byteOffset, digest.length).toString('hex');
}
