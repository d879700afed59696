import { ptr } from 'bun:ffi';
import liblzma from '../../dist/libraries/liblzma.so' with { type: 'file' };
import { openEmbeddedLibrary } from '../kernel/embedded-library.ts';
import { addressOf } from '../kernel/libc.ts';
import { streamCorrupt } from './member-decoder.ts';
import { checkLzma, requireLzmaMemory } from './xz.ts';

/** `lzma_block`, lzma/block.h: 208 bytes on 64-bit machines. */
const LZMA_BLOCK = {
  size: 208,
  version: 0,
  header_size: 4,
  check: 8,
  uncompressed_size: 24,
  filters: 32,
} as const;
/** lzma/filter.h: `LZMA_FILTERS_MAX` and the end of the list, of `lzma_filter`s: an identifier and a pointer. */
const FILTERS_BYTES = 5 * 16;
/** lzma/vli.h */
const LZMA_VLI_UNKNOWN = 2n ** 64n - 1n;

/** lzma/check.h: what liblzma is built with, of what the format has numbers for. */
const KNOWN_CHECKS: ReadonlySet<number> = new Set([0, 1, 4, 10]);

/** Whether blocks with this `lzma_check` can be checked. */
export function isXzCheckKnown(check: number): boolean {
  return KNOWN_CHECKS.has(check);
}

/** Decodes single blocks of .xz streams. */
export interface XzBlockDecoder {
  /**
   * Decodes one block, and checks it against its integrity check, its header, and what its index says: the lengths of
   * `stored` and `output`.
   *
   * @param stored all of the block (The .xz File Format 1.2.1, section 3), padding and check included
   * @param check the stream's `lzma_check`
   * @param output as long as the block is after decompression
   * @throws RdpullError stream-corrupt, stream-unsupported, decoder-memory
   */
  decode(stored: Uint8Array, check: number, output: Uint8Array): void;
}

/** By liblzma, straight from the one buffer to the other: beside them it takes the block's dictionary. */
export function openXzBlockDecoder(): XzBlockDecoder {
  const library = openEmbeddedLibrary(liblzma, {
    lzma_block_header_decode: { args: ['ptr', 'ptr', 'ptr'], returns: 'u32' },
    lzma_block_buffer_decode: {
      args: ['ptr', 'ptr', 'ptr', 'ptr', 'usize', 'ptr', 'ptr', 'usize'],
      returns: 'u32',
    },
    lzma_raw_decoder_memusage: { args: ['ptr'], returns: 'u64' },
    lzma_filters_free: { args: ['ptr', 'ptr'], returns: 'void' },
  });
  const block = new DataView(new ArrayBuffer(LZMA_BLOCK.size));
  const filters = new Uint8Array(FILTERS_BYTES);
  const positions = new BigUint64Array(2);

  function decodeBody(stored: Uint8Array, headerBytes: number, output: Uint8Array): void {
    requireLzmaMemory(library.lzma_raw_decoder_memusage(ptr(filters)));
    const length = BigInt(output.length);
    const told = block.getBigUint64(LZMA_BLOCK.uncompressed_size, true);
    if (told !== LZMA_VLI_UNKNOWN && told !== length) throw contradiction();
    block.setBigUint64(LZMA_BLOCK.uncompressed_size, length, true);
    positions.set([BigInt(headerBytes), 0n]);
    const into = output.length === 0 ? new Uint8Array(1) : output;
    checkLzma(
      library.lzma_block_buffer_decode(
        ptr(block),
        null,
        ptr(stored),
        ptr(positions),
        stored.length,
        ptr(into),
        ptr(positions, BigUint64Array.BYTES_PER_ELEMENT),
        output.length,
      ),
    );
    const [consumed, produced] = positions;
    if (consumed !== BigInt(stored.length) || produced !== length) throw contradiction();
  }

  return {
    decode(stored, check, output) {
      // Section 3.1.1: the size of the header; 0 is where an index begins.
      const headerBytes = ((stored[0] ?? 0) + 1) * 4;
      if (stored[0] === 0 || stored.length < headerBytes) throw contradiction();
      new Uint8Array(block.buffer).fill(0);
      filters.fill(0);
      block.setUint32(LZMA_BLOCK.version, 1, true);
      block.setUint32(LZMA_BLOCK.header_size, headerBytes, true);
      block.setUint32(LZMA_BLOCK.check, check, true);
      block.setBigUint64(LZMA_BLOCK.filters, addressOf(filters), true);
      checkLzma(library.lzma_block_header_decode(ptr(block), null, ptr(stored)));
      try {
        decodeBody(stored, headerBytes, output);
      } finally {
        library.lzma_filters_free(ptr(filters), null);
      }
    },
  };
}

function contradiction(): Error {
  return streamCorrupt('xz', 'a block is not what the index says');
}
