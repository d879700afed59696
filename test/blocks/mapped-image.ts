import { openBlockDecoder } from '../../src/blocks/block-decoder.ts';
import type { BlockMap, RangedFile } from '../../src/blocks/block-map.ts';
import { openBlockMap } from '../../src/blocks/open-block-map.ts';
import type { SeededRandom } from '../request/seeded-random.ts';

/** A file in memory, of which parts are read, and how many. What is not in it is no part of it. */
export function fileOf(bytes: Uint8Array): RangedFile & { readonly reads: readonly [number, number][] } {
  const reads: [number, number][] = [];
  return {
    size: bytes.length,
    reads,
    async read(offset, length) {
      reads.push([offset, length]);
      if (!(offset >= 0 && length > 0 && offset + length <= bytes.length)) {
        throw new RangeError(`${length} bytes at ${offset} of ${bytes.length}`);
      }
      return bytes.slice(offset, offset + length);
    },
  };
}

/** The map of a file that has one. */
export async function mapOf(bytes: Uint8Array): Promise<BlockMap> {
  const result = await openBlockMap(bytes.subarray(0, 512), fileOf(bytes));
  if (result.kind === 'none') throw new Error(`it ${result.reason}`);
  return result.map;
}

/** Why a file has no map. */
export async function reasonOf(bytes: Uint8Array): Promise<string> {
  const result = await openBlockMap(bytes.subarray(0, 512), fileOf(bytes));
  return result.kind === 'none' ? result.reason : 'it has a map';
}

/** Reads a part of the image through its map, as a device would. */
export async function readThrough(
  map: BlockMap,
  file: Uint8Array,
  offset: number,
  length: number,
): Promise<Buffer> {
  using decoder = openBlockDecoder();
  const result = Buffer.alloc(length, 0xaa);
  for (let at = offset; at < offset + length; ) {
    const block = await map.at(at);
    const { start, content } = block;
    if (start > at || start + block.length <= at || start + block.length > map.size) {
      throw new Error(`byte ${at} is not in the block from ${start} to ${start + block.length}`);
    }
    const end = Math.min(start + block.length, offset + length);
    if (content.kind === 'zeros') result.fill(0, at - offset, end - offset);
    if (content.kind === 'stored') {
      if (block.length > map.largestBlock || content.length > map.largestStored) throw new Error('too large');
      if (content.offset + content.length > file.length) throw new Error('beyond the file');
      const bytes = new Uint8Array(block.length);
      decoder.decode(file.subarray(content.offset, content.offset + content.length), content.encoding, bytes);
      result.set(bytes.subarray(at - start, end - start), at - offset);
    }
    at = end;
  }
  return result;
}

/** Bytes like those of a file system: text, noise and zeros in pieces of up to 64 KiB. */
export function imageOf(random: SeededRandom, size: number): Buffer {
  const image = Buffer.alloc(size);
  for (let at = 0; at < size; ) {
    const length = Math.min(1 + random.below(65_536), size - at);
    const kind = random.below(3);
    if (kind === 0) image.fill(`root:x:${at}:0:root:/root:/bin/bash\n`, at, at + length);
    if (kind === 1) for (let byte = at; byte < at + length; byte++) image[byte] = random.below(256);
    at += length;
  }
  return image;
}
