import { BLOCK_SIZE } from '../../../decode/tar-block.ts';
import { beyondBounds, malformed } from './tar-error.ts';
import { readNumber } from './tar-header.ts';

/**
 * More stretches of data than this in one sparse file are refused: the map precedes the data in every format, so it
 * has to be held, at 16 bytes a stretch.
 */
const MAX_EXTENTS = 1_000_000;

/** Where the data of a sparse file belong; what lies between is a hole. All in bytes. */
export class SparseMap {
  readonly offsets: number[] = [];
  readonly lengths: number[] = [];
  /** All lengths together: the bytes of data in the archive. */
  dataSize = 0;
  /** The end of the farthest stretch. */
  end = 0;

  /** How many stretches there are. */
  get length(): number {
    return this.offsets.length;
  }

  /** The stretches, in the order of their data. */
  *stretches(): Generator<{ readonly offset: number; readonly length: number }> {
    for (const [index, offset] of this.offsets.entries()) yield { offset, length: this.lengths[index] ?? 0 };
  }

  /** @throws RdpullError `tar-malformed`, `limit-exceeded` */
  add(offset: number, length: number): void {
    const end = offset + length;
    if (offset < 0 || length < 0 || !Number.isSafeInteger(end)) {
      throw malformed('the tar archive holds a sparse file whose map has a number out of range');
    }
    if (length === 0) return; // GNU tar marks a hole at the end this way: the size says the same
    if (this.offsets.length === MAX_EXTENTS) {
      throw beyondBounds(
        `the tar archive holds a sparse file in more than ${MAX_EXTENTS} pieces`,
        'pack the tarball without --sparse',
      );
    }
    this.offsets.push(offset);
    this.lengths.push(length);
    this.dataSize += length;
    this.end = Math.max(this.end, end);
  }
}

/** What a GNU 'S' header says by itself, before its extension blocks. */
export interface GnuSparseHeader {
  readonly realSize: number;
  /** Whether a block with more of the map follows. */
  readonly continued: boolean;
}

/** struct oldgnu_header, GNU tar's tar.h: the map in the header block itself. */
const HEADER_MAP = { start: 386, count: 4, isExtended: 482 } as const;
const REAL_SIZE = 483;
/** struct sparse_header, GNU tar's tar.h: a whole block of map. */
const EXTENSION_MAP = { start: 0, count: 21, isExtended: 504 } as const;

/** Reads the sparse part of a GNU 'S' header (type "old GNU") into `map`. */
export function readGnuSparseHeader(block: Uint8Array, map: SparseMap): GnuSparseHeader {
  const continued = readGnuExtents(block, HEADER_MAP, map);
  return { realSize: readNumber(block, REAL_SIZE, 12, 'real size'), continued };
}

/** Reads a block that continues the map of a GNU 'S' header. Returns whether another one follows. */
export function readGnuSparseExtension(block: Uint8Array, map: SparseMap): boolean {
  return readGnuExtents(block, EXTENSION_MAP, map);
}

function readGnuExtents(
  block: Uint8Array,
  place: { readonly start: number; readonly count: number; readonly isExtended: number },
  map: SparseMap,
): boolean {
  for (let i = 0; i < place.count; i++) {
    const at = place.start + 24 * i;
    if (block[at + 12] === 0) return false; // an empty length ends the map
    map.add(readNumber(block, at, 12, 'sparse offset'), readNumber(block, at + 12, 12, 'sparse length'));
  }
  return block[place.isExtended] !== 0;
}

/** `GNU.sparse.map` of a PAX header, sparse format 0.1: "offset,length,offset,length…". */
export function readSparseMap01(text: string): SparseMap {
  const map = new SparseMap();
  const numbers = text.split(',');
  for (let i = 0; i < numbers.length; i += 2) {
    map.add(decimal(numbers[i]), decimal(numbers[i + 1]));
  }
  return map;
}

function decimal(digits: string | undefined): number {
  if (digits === undefined || !/^\d{1,16}$/.test(digits)) {
    throw malformed('the tar archive holds a sparse file whose map is not a list of pairs of numbers');
  }
  return Number(digits);
}

/**
 * The map of sparse format 1.0, which leads the member's data: decimal numbers, a line each: how many pairs, then
 * offset and length of each, padded to whole blocks.
 */
export class SparseMapReader {
  readonly map = new SparseMap();
  #number = 0;
  #digits = 0;
  #count: number | undefined;
  #seen = 0;
  #offset: number | undefined;

  /** Reads on. Returns true when `block` was the last one of the map. */
  take(block: Uint8Array): boolean {
    for (let i = 0; i < BLOCK_SIZE; i++) {
      const byte = block[i] ?? 0;
      if (byte >= 0x30 && byte <= 0x39 && this.#digits < 16) {
        this.#number = this.#number * 10 + (byte - 0x30);
        this.#digits++;
      } else if (byte === 0x0a && this.#digits > 0) {
        this.#takeNumber(this.#number);
        this.#number = 0;
        this.#digits = 0;
        if (this.#seen === this.#count) return true;
      } else {
        throw malformed('the tar archive holds a sparse file whose map is not a list of numbers');
      }
    }
    return false;
  }

  #takeNumber(value: number): void {
    if (this.#count === undefined) {
      this.#count = value;
    } else if (this.#offset === undefined) {
      this.#offset = value;
    } else {
      this.map.add(this.#offset, value);
      this.#offset = undefined;
      this.#seen++;
    }
  }
}
