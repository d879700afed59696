import { BLOCK_SIZE } from '../../../decode/tar-block.ts';
import { isFile } from './member-of-headers.ts';
import { type PaxAttributes, sparseFormat } from './pax.ts';
import { readGnuSparseExtension, readGnuSparseHeader, SparseMap, SparseMapReader } from './sparse-map.ts';
import { malformed } from './tar-error.ts';
import { TYPE } from './tar-header.ts';
import type { TarInput, Wanting } from './tar-input.ts';

/** Where the data of a sparse file belong, and how many of the bytes that follow in the archive they are. */
export interface SparseLayout {
  readonly map: SparseMap;
  /** Of the file, its holes included. */
  readonly realSize: number;
  readonly dataSize: number;
}

/** Whether a header of this type, with these records, is one of a sparse file. */
export function isSparse(type: number, { sparse }: PaxAttributes): boolean {
  return type === TYPE.gnuSparse || (isFile(type) && sparseFormat(sparse) !== 'none');
}

/**
 * Reads the map of a file that {@link isSparse}, wherever it is: in the header and in blocks behind it (GNU's type), in PAX
 * records, or before the data. Returns undefined when the input ends within it.
 *
 * @param block the member's header
 * @param size bytes that follow by the headers, the map of format 1.0 included
 * @throws RdpullError `tar-malformed`, `limit-exceeded`, `stream-unsupported`
 */
export function* readSparseLayout(
  input: TarInput,
  block: Uint8Array,
  type: number,
  { sparse }: PaxAttributes,
  size: number,
): Wanting<SparseLayout | undefined> {
  if (type === TYPE.gnuSparse) return yield* readGnuLayout(input, block, size);
  const realSize = sparse?.realSize;
  if (sparse === undefined || realSize === undefined) {
    throw malformed('the tar archive holds a sparse file without its real size');
  }
  if (sparseFormat(sparse) === 'map-in-data') return yield* readLeadingMap(input, realSize, size);
  return { map: sparse.map, realSize, dataSize: size };
}

function* readGnuLayout(
  input: TarInput,
  block: Uint8Array,
  dataSize: number,
): Wanting<SparseLayout | undefined> {
  const map = new SparseMap();
  const { realSize, continued } = readGnuSparseHeader(block, map);
  for (let goesOn = continued; goesOn; ) {
    const extension = yield* input.block();
    if (extension === undefined) return undefined;
    goesOn = readGnuSparseExtension(extension, map);
  }
  return { map, realSize, dataSize };
}

function* readLeadingMap(input: TarInput, realSize: number, size: number): Wanting<SparseLayout | undefined> {
  const reader = new SparseMapReader();
  for (let left = size; left >= BLOCK_SIZE; ) {
    const block = yield* input.block();
    if (block === undefined) return undefined;
    left -= BLOCK_SIZE;
    if (reader.take(block)) return { map: reader.map, realSize, dataSize: left };
  }
  throw malformed('the tar archive holds a sparse file whose map is cut off');
}
