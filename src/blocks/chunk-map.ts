import type { BlockMap } from './block-map.ts';
import type { ChunkTable } from './chunk-index.ts';

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
  // Holes of an image are chunks of the largest size.
  const { algorithm, largestMade } = table;
  const zeros = digestOfZeros(table);
  return {
    format: 'caibx',
    size: table.size,
    largestBlock: table.largest,
    largestStored: mostStored(table.largest),
    async at(offset) {
      const { start, length, digest } = table.chunk(table.numberAt(offset));
      const hex = Buffer.from(digest.buffer, digest.byteOffset, digest.length).toString('hex');
      if (hex === zeros && length === largestMade) return { start, length, content: { kind: 'zeros' } };
      return {
        start,
        length,
        content: {
          kind: 'stored',
          offset: start,
          length,
          encoding: { kind: 'chunk', algorithm, digest: hex },
        },
      };
    },
  };
}

/** Bytes of the image that are more than holes, as far as the index tells. */
export function occupiedByChunks(table: ChunkTable): number {
  const zeros = Buffer.from(digestOfZeros(table), 'hex');
  let holes = 0;
  for (let number = 0; number < table.count; number++) {
    const { length, digest } = table.chunk(number);
    if (length === table.largestMade && zeros.equals(digest)) holes += length;
  }
  return table.size - holes;
}

/** Of as many as a chunk may have. */
function digestOfZeros({ algorithm, largestMade }: ChunkTable): string {
  const hasher = new Bun.CryptoHasher(algorithm);
  for (let left = largestMade; left > 0; left -= ZEROS.length)
    hasher.update(left < ZEROS.length ? ZEROS.subarray(0, left) : ZEROS);
  return hasher.digest('hex');
}
