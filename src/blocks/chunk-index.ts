import { size as shownSize } from '../console/quantity.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { MAX_BLOCK_BYTES } from './block-map.ts';
import { MAX_BLOCKS } from './block-table.ts';
import type { ChunkDigest } from './chunk-digest.ts';

/** casync's src/caformat.h: `CA_FORMAT_INDEX`, `CA_FORMAT_TABLE`, `CA_FORMAT_TABLE_TAIL_MARKER`. */
const INDEX_TYPE = 0x96824d9c7b129ff9n;
const TABLE_TYPE = 0xe75b9e112f17417dn;
const TAIL_MARKER = 0x4b4f050e5549ecd1n;

/** `struct CaFormatIndex`: six little-endian numbers of 64 bits. */
const HEADER = { size: 48, type: 8, flags: 16, min: 24, avg: 32, max: 40 } as const;
/** `struct CaFormatTable`: a size, which is not known when it is begun (`UINT64_MAX`), and a type; then items. */
const TABLE_HEADER_BYTES = 16;
const UNKNOWN_SIZE = 0xffff_ffff_ffff_ffffn;
/** `struct CaFormatTableItem`: where the chunk ends in the image, and its digest. */
const ITEM = { size: 40, end: 0, digest: 8 } as const;
/** `struct CaFormatTableTail`, as long as an item: zeros, where the index begins, how long the table is, and a marker. */
const TAIL = { size: 40, zeros: 0, index: 16, table: 24, marker: 32 } as const;

const ITEMS_START = HEADER.size + TABLE_HEADER_BYTES;
const DIGEST_BYTES = 32;

const NOWHERE: readonly number[] = [];

/** `CA_FORMAT_SHA512_256`; without it, the digests are SHA-256. */
const SHA512_256_FLAG = 0x2000_0000_0000_0000n;
/** `CA_FORMAT_WITH_*` below: what an archive of a directory tree has recorded. The index of a file has none of them. */
const ARCHIVE_FLAGS = 0xffff_ffffn;

/** Bytes of an index at most, and of what has to be in memory of it: {@link MAX_BLOCKS} chunks. */
export const MAX_INDEX_BYTES = ITEMS_START + MAX_BLOCKS * ITEM.size + TAIL.size;

/** A piece of an image. */
export interface Chunk {
  /** Bytes of the image. */
  readonly start: number;
  readonly length: number;
  /** 32 bytes: a view of the index. */
  readonly digest: Uint8Array;
}

/** Where each digest is found: 16 bytes or more for a chunk. */
interface Places {
  /** Of chance, so that nobody can choose digests that all collide. */
  readonly seed: number;
  /** By the hash of a digest: the number of the first chunk that has it, plus 1. */
  readonly numbers: Int32Array;
  /** By the number of a chunk: that of the first one with the same bytes, and that of another one with them, plus 1. */
  readonly first: Int32Array;
  readonly next: Int32Array;
}

/** The chunks of an image, in their order. Takes no more memory than the index itself, until something is looked for. */
export class ChunkTable {
  readonly algorithm: ChunkDigest;
  readonly count: number;
  /** Bytes of the image. */
  readonly size: number;
  /** Bytes of the largest chunk, and the most that one of the same maker has. */
  readonly largest: number;
  readonly largestMade: number;
  /** What its maker was told of the bytes of a chunk. */
  readonly made: { readonly min: number; readonly avg: number; readonly max: number };
  readonly #bytes: Buffer;
  readonly #view: DataView;
  #places: Places | undefined;

  /** @param bytes an index that was checked */
  constructor(
    bytes: Uint8Array,
    known: Pick<ChunkTable, 'algorithm' | 'count' | 'size' | 'largest' | 'made'>,
  ) {
    this.algorithm = known.algorithm;
    this.count = known.count;
    this.size = known.size;
    this.largest = known.largest;
    this.largestMade = known.made.max;
    this.made = known.made;
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#view = viewOf(bytes);
  }

  /** The index itself, which another thread can read as well. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** The number of the chunk with byte `offset` of the image. */
  numberAt(offset: number): number {
    if (offset < 0 || offset >= this.size) throw new RangeError(`no chunk has byte ${offset}`);
    let low = 0;
    let high = this.count - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#end(middle) <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The chunk of that number, from 0 on. */
  chunk(number: number): Chunk {
    return { start: this.start(number), length: this.length(number), digest: this.digest(number) };
  }

  /** Its parts, for who looks at very many of them. */
  start(number: number): number {
    return number === 0 ? 0 : this.#end(number - 1);
  }

  length(number: number): number {
    return this.#end(number) - this.start(number);
  }

  digest(number: number): Uint8Array {
    const at = digestAt(number);
    return this.#bytes.subarray(at, at + DIGEST_BYTES);
  }

  copyDigest(number: number, target: Buffer, to: number): void {
    const at = digestAt(number);
    this.#bytes.copy(target, to, at, at + DIGEST_BYTES);
  }

  /** The first chunk of these bytes; undefined when there is none. */
  find(digest: Uint8Array): Chunk | undefined {
    const number = this.numberOf(digest);
    return number === undefined ? undefined : this.chunk(number);
  }

  /** Its number. */
  numberOf(digest: Uint8Array): number | undefined {
    const { seed, numbers } = this.#placed();
    for (let at = hashOf(digest, seed, numbers.length); ; at = (at + 1) % numbers.length) {
      const number = (numbers[at] ?? 0) - 1;
      if (number < 0) return undefined;
      if (Buffer.compare(this.digest(number), digest) === 0) return number;
    }
  }

  /** Whether no chunk before that of this number has the same bytes. */
  isFirst(number: number): boolean {
    return this.#placed().first[number] === number;
  }

  /**
   * Where else the bytes of a chunk lie that is the first to have them: where those chunks begin, `most` of them at most. An index may lie of a chunk
   * that it is as long as another one of the same digest: that is none of them.
   */
  otherStarts(number: number, most: number): readonly number[] {
    const { next } = this.#placed();
    const starts: number[] = [];
    for (let other = next[number] ?? 0; other !== 0 && starts.length < most; other = next[other - 1] ?? 0)
      if (this.length(other - 1) === this.length(number)) starts.push(this.start(other - 1));
    return starts.length === 0 ? NOWHERE : starts;
  }

  #placed(): Places {
    this.#places ??= this.#place();
    return this.#places;
  }

  #place(): Places {
    const seed = Math.floor(Math.random() * 2 ** 32);
    const numbers = new Int32Array(2 ** Math.ceil(Math.log2(this.count * 2 + 1)));
    const [first, next] = [new Int32Array(this.count), new Int32Array(this.count)];
    for (let number = 0; number < this.count; number++) {
      const digest = this.digest(number);
      let at = hashOf(digest, seed, numbers.length);
      for (let other = numbers[at] ?? 0; other !== 0; other = numbers[at] ?? 0) {
        if (Buffer.compare(this.digest(other - 1), digest) === 0) break;
        at = (at + 1) % numbers.length;
      }
      const before = (numbers[at] ?? 0) - 1;
      first[number] = before < 0 ? number : before;
      if (before < 0) numbers[at] = number + 1;
      else {
        next[number] = next[before] ?? 0;
        next[before] = number + 1;
      }
    }
    return { seed, numbers, first, next };
  }

  #end(number: number): number {
    return endOf(this.#view, number);
  }
}

/**
 * Reads the index of an image in chunks (`.caibx`), as `casync make` and `desync make` write it. No figure in it is believed: what is
 * kept is as long as what was read.
 *
 * @param bytes all of the file; it must not change afterwards
 * @throws RdpullError index-malformed; stream-unsupported for what is an index, but none that this can be made of
 */
export function parseChunkIndex(bytes: Uint8Array): ChunkTable {
  const view = viewOf(bytes);
  if (bytes.length < HEADER.size || view.getBigUint64(HEADER.type, true) !== INDEX_TYPE)
    throw malformed('it does not begin as an index of casync does');
  if (view.getBigUint64(0, true) !== BigInt(HEADER.size)) throw malformed('its header has a wrong length');
  const flags = view.getBigUint64(HEADER.flags, true);
  if ((flags & ARCHIVE_FLAGS) !== 0n) {
    throw new RdpullError(
      'stream-unsupported',
      'it is the index of a directory tree (.caidx), and not of a disk image',
      'make it of an image file: casync make IMAGE.caibx IMAGE.raw',
    );
  }
  const made = chunkSizes(view);
  const count = itemsOf(view);
  const { size, largest } = checkItems(view, count, made.max);
  const algorithm = (flags & SHA512_256_FLAG) === 0n ? 'sha256' : 'sha512-256';
  return new ChunkTable(bytes, { algorithm, count, size, largest, made });
}

function chunkSizes(view: DataView): ChunkTable['made'] {
  const [min, avg, max] = [HEADER.min, HEADER.avg, HEADER.max].map((at) => view.getBigUint64(at, true));
  if (min === undefined || avg === undefined || max === undefined) throw new RangeError('three sizes');
  if (min < 1n || avg < min || max < avg)
    throw malformed(`its chunks cannot be of ${min} to ${max} bytes, ${avg} on average`);
  if (max > BigInt(MAX_BLOCK_BYTES)) {
    throw new RdpullError(
      'stream-unsupported',
      `its chunks are of up to ${max} bytes, and ${shownSize(MAX_BLOCK_BYTES)} is the most that is read at once`,
      'make it with smaller chunks: casync make --chunk-size=65536',
    );
  }
  return { min: Number(min), avg: Number(avg), max: Number(max) };
}

/** @returns how many there are */
function itemsOf(view: DataView): number {
  const bytes = view.byteLength - ITEMS_START;
  if (bytes < TAIL.size || bytes % ITEM.size !== 0) throw malformed('it ends in the middle');
  if (view.byteLength > MAX_INDEX_BYTES) {
    throw new RdpullError(
      'stream-unsupported',
      `it lists more than ${MAX_BLOCKS} chunks`,
      'make it with larger chunks: casync make --chunk-size=1048576',
    );
  }
  const isBegun =
    view.getBigUint64(HEADER.size, true) === UNKNOWN_SIZE &&
    view.getBigUint64(HEADER.size + 8, true) === TABLE_TYPE;
  if (!isBegun) throw malformed('its table does not begin behind its header');
  const tail = view.byteLength - TAIL.size;
  const isEnded =
    view.getBigUint64(tail + TAIL.zeros, true) === 0n &&
    view.getBigUint64(tail + TAIL.zeros + 8, true) === 0n &&
    view.getBigUint64(tail + TAIL.index, true) === BigInt(HEADER.size) &&
    view.getBigUint64(tail + TAIL.table, true) === BigInt(view.byteLength - HEADER.size) &&
    view.getBigUint64(tail + TAIL.marker, true) === TAIL_MARKER;
  if (!isEnded) throw malformed('its table does not end where it ends');
  const count = bytes / ITEM.size - 1;
  if (count === 0) throw malformed('it lists no chunks: the image is empty');
  return count;
}

function checkItems(
  view: DataView,
  count: number,
  largestMade: number,
): { readonly size: number; readonly largest: number } {
  let size = 0;
  let largest = 0;
  for (let number = 0; number < count; number++) {
    const end = endOf(view, number);
    if (!Number.isSafeInteger(end)) throw malformed(`chunk ${number} ends behind all that an image can have`);
    const length = end - size;
    if (length < 1) throw malformed(`chunk ${number} ends before it begins`);
    if (length > largestMade)
      throw malformed(`chunk ${number} has ${length} bytes, and none has more than ${largestMade}`);
    largest = Math.max(largest, length);
    size = end;
  }
  return { size, largest };
}

/** Where a chunk ends in the image. Above 2^53 it is not exact, and not safe. */
function endOf(view: DataView, number: number): number {
  const at = ITEMS_START + number * ITEM.size + ITEM.end;
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
}

function digestAt(number: number): number {
  return ITEMS_START + number * ITEM.size + ITEM.digest;
}

function hashOf(digest: Uint8Array, seed: number, places: number): number {
  return Bun.hash.xxHash32(digest, seed) % places;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function malformed(what: string): RdpullError {
  return new RdpullError(
    'index-malformed',
    `the index of chunks is damaged: ${what}`,
    'make it again (casync make IMAGE.caibx IMAGE.raw), or upload it again',
  );
}
