import { ptr } from 'bun:ffi';
import fs from 'node:fs';
import lanes from '../../dist/libraries/sha512-lanes.so' with { type: 'file' };
import { openEmbeddedLibrary } from '../kernel/embedded-library.ts';
import { addressOf } from '../kernel/libc.ts';
import type { ChunkDigest } from './chunk-digest.ts';

/** SHA-512/256 and SHA-256, in bytes. */
const DIGEST = 32;

/** Digests of many chunks at once. */
export interface ChunkDigests {
  /** @returns of each chunk, in lower-case hexadecimal */
  of(chunks: readonly Uint8Array[]): readonly string[];
}

/**
 * SHA-512/256, which no common processor of a PC has instructions for, is made of four chunks side by side, where there is AVX2: in half of the time
 * (`sha512-lanes.c`).
 *
 * @throws SystemCallError, Error of the file system: the library cannot be loaded
 */
export function openChunkDigests(algorithm: ChunkDigest): ChunkDigests {
  const many = algorithm === 'sha512-256' ? openLanes() : undefined;
  const each = (chunks: readonly Uint8Array[]) => chunks.map((chunk) => digestOfChunk(chunk, algorithm));
  return {
    // Of one alone, three of four lanes would be for nothing.
    of: (chunks) => (many === undefined || chunks.length < 2 ? each(chunks) : many(chunks)),
  };
}

/** In lower-case hexadecimal. */
export function digestOfChunk(chunk: Uint8Array, algorithm: ChunkDigest): string {
  return new Bun.CryptoHasher(algorithm).update(chunk).digest('hex');
}

/** @returns undefined where this processor is no use for it */
function openLanes(): ((chunks: readonly Uint8Array[]) => string[]) | undefined {
  // For other architectures it is empty.
  if (fs.statSync(lanes).size === 0) return undefined;
  const { sha512_lanes_usable, sha512_256_of } = openEmbeddedLibrary(lanes, {
    sha512_lanes_usable: { args: [], returns: 'i32' },
    sha512_256_of: { args: ['ptr', 'u32', 'ptr'], returns: 'void' },
  });
  if (sha512_lanes_usable() === 0) return undefined;
  return (chunks) => {
    // The longest ones first: else one of them would go on alone when the others are over.
    const order = [...chunks.keys()].sort((a, b) => lengthOf(chunks, b) - lengthOf(chunks, a));
    const messages = new BigUint64Array(2 * chunks.length);
    order.forEach((number, place) => {
      const chunk = chunks[number] ?? new Uint8Array();
      messages.set([addressOf(chunk), BigInt(chunk.length)], 2 * place);
    });
    const digests = Buffer.alloc(DIGEST * chunks.length);
    sha512_256_of(ptr(messages), chunks.length, ptr(digests));
    const texts: string[] = Array(chunks.length);
    order.forEach((number, place) => {
      texts[number] = digests.toString('hex', DIGEST * place, DIGEST * (place + 1));
    });
    return texts;
  };
}

function lengthOf(chunks: readonly Uint8Array[], number: number): number {
  return chunks[number]?.length ?? 0;
}
