import type { Block, BlockMap, RangedFile } from './block-map.ts';
import { bytesPerL2Table, type Qcow2Header, qcow2Corrupt } from './qcow2-header.ts';
import { RAW_BLOCK_BYTES } from './raw-blocks.ts';
import { createTableCache } from './table-cache.ts';

/** Bytes of the L1 table that are read at once. */
const L1_PAGE_BYTES = 64 * 1024;

/** Entries that one look at a run of zeros goes through. */
const ZEROS_AT_ONCE = 4096;

/** Subclusters of a cluster with an extended entry. */
const SUBCLUSTERS = 32;

/** Bits 32 to 63 of an entry of an L2 table: docs/interop/qcow2.txt, "Cluster mapping". */
const COMPRESSED = 0x40000000;
const DESCRIPTOR = 0x3fffffff;
const OFFSET_HIGH = 0x00ffffff;
/** Bits 0 to 31. */
const ALL_ZEROS = 1;
const OFFSET_LOW = 0xfffffe00;

/** What an L2 table says of a piece of the image that is no larger than a (sub)cluster. */
type Piece =
  | { readonly kind: 'zeros' }
  /** `offset`: where it lies in the file. */
  | { readonly kind: 'plain'; readonly offset: number }
  /** All of its cluster lies there. */
  | { readonly kind: 'compressed'; readonly offset: number; readonly length: number };

/**
 * The clusters of a qcow2 image, as its active tables have them: internal snapshots are not looked at. Compressed clusters
 * are a block each; what is not compressed is told in what lies together in the file, within 128 KiB of the image.
 *
 * @param file the image, of which only the tables are read
 */
export function qcow2Clusters(header: Qcow2Header, file: RangedFile): BlockMap {
  const { size, clusterBits, extendedL2 } = header;
  const clusterBytes = 2 ** clusterBits;
  const tableBytes = bytesPerL2Table(header);
  /** The least that is told of: all of it is of one kind, and lies together. */
  const pieceBytes = Math.min(extendedL2 ? clusterBytes / SUBCLUSTERS : clusterBytes, RAW_BLOCK_BYTES);
  const readTable = createTableCache(file.read);

  /** The L2 table for the bytes from `start` on; undefined when there is none, and all of them are zeros. */
  async function l2Table(start: number): Promise<DataView | undefined> {
    const at = (start / tableBytes) * 8;
    const page = at - (at % L1_PAGE_BYTES);
    const length = Math.min(L1_PAGE_BYTES, Math.ceil(size / tableBytes) * 8 - page);
    requireInside(header.l1Offset + page, length, 'its L1 table');
    const l1 = await readTable(header.l1Offset + page, length);
    const offset = hostOffset(l1.getUint32(at - page), l1.getUint32(at - page + 4));
    if (offset === 0) return undefined;
    requireAligned(offset, 'an L2 table');
    requireInside(offset, clusterBytes, 'an L2 table');
    return readTable(offset, clusterBytes);
  }

  /** What the table says of the piece that begins with byte `offset` of the image. */
  function pieceAt(l2: DataView, offset: number): Piece {
    const entry = Math.floor((offset % tableBytes) / clusterBytes) * (extendedL2 ? 16 : 8);
    const high = l2.getUint32(entry);
    const low = l2.getUint32(entry + 4);
    if ((high & COMPRESSED) !== 0) return compressedPiece(high, low);
    const host = hostOffset(high, low);
    if (extendedL2) {
      const subcluster = Math.floor((offset % clusterBytes) / (clusterBytes / SUBCLUSTERS));
      if (!isAllocated(l2.getUint32(entry + 12), l2.getUint32(entry + 8), subcluster))
        return { kind: 'zeros' };
      if (host === 0) throw qcow2Corrupt('a subcluster lies nowhere');
    } else if ((low & ALL_ZEROS) !== 0) {
      if (header.version < 3) throw qcow2Corrupt('a cluster of version 2 has a flag of version 3');
      return { kind: 'zeros' };
    } else if (host === 0) return { kind: 'zeros' };
    requireAligned(host, 'a cluster');
    return { kind: 'plain', offset: host + (offset % clusterBytes) };
  }

  /** "Compressed Clusters Descriptor": where it begins, to the byte, and how many sectors it goes on in. */
  function compressedPiece(high: number, low: number): Piece {
    const offsetBits = 62 - (clusterBits - 8) - 32;
    const offset = (high & (2 ** offsetBits - 1)) * 2 ** 32 + low;
    const sectors = (high & DESCRIPTOR) >>> offsetBits;
    requireInside(offset, 1, 'a compressed cluster');
    // The file may end with the last of them, and need not be filled up to a whole sector.
    const length = Math.min((sectors + 1) * 512 - (offset % 512), file.size - offset);
    return { kind: 'compressed', offset, length };
  }

  /** The run of zeros from the piece at `offset` on, as far as it is worth looking. */
  function zerosFrom(l2: DataView, offset: number, end: number): Block {
    let at = offset + pieceBytes;
    for (let count = 0; at < end && count < ZEROS_AT_ONCE; count++) {
      if (pieceAt(l2, at).kind !== 'zeros') break;
      at += pieceBytes;
    }
    return { start: offset, length: Math.min(at, end) - offset, content: { kind: 'zeros' } };
  }

  /** What lies together with the piece at `offset`: within its 128 KiB of the image, and its table. */
  function plainAround(l2: DataView, offset: number, host: number, start: number, end: number): Block {
    const first = Math.max(start, offset - (offset % RAW_BLOCK_BYTES));
    const last = Math.min(end, offset - (offset % RAW_BLOCK_BYTES) + RAW_BLOCK_BYTES);
    const isTogether = (at: number) => {
      const piece = pieceAt(l2, at);
      return piece.kind === 'plain' && piece.offset - at === host - offset;
    };
    let from = offset;
    while (from > first && isTogether(from - pieceBytes)) from -= pieceBytes;
    let to = offset + pieceBytes;
    while (to < last && isTogether(to)) to += pieceBytes;
    const length = Math.min(to, last) - from;
    const stored = { offset: host - (offset - from), length };
    requireInside(stored.offset, length, 'a cluster');
    return { start: from, length, content: { kind: 'stored', ...stored, encoding: { kind: 'plain' } } };
  }

  function requireAligned(offset: number, what: string): void {
    if (offset % clusterBytes !== 0) throw qcow2Corrupt(`${what} begins inside of a cluster`);
  }

  function requireInside(offset: number, length: number, what: string): void {
    if (offset + length > file.size) throw qcow2Corrupt(`${what} lies behind the end of the file`);
  }

  return {
    format: 'qcow2',
    size,
    largestBlock: Math.min(size, Math.max(clusterBytes, RAW_BLOCK_BYTES)),
    largestStored: Math.max(2 * clusterBytes, RAW_BLOCK_BYTES),
    async at(offset) {
      if (offset < 0 || offset >= size) throw new RangeError(`no block has byte ${offset}`);
      const start = offset - (offset % tableBytes);
      const end = Math.min(start + tableBytes, size);
      const l2 = await l2Table(start);
      if (l2 === undefined) return { start, length: end - start, content: { kind: 'zeros' } };
      const at = offset - (offset % pieceBytes);
      const piece = pieceAt(l2, at);
      switch (piece.kind) {
        case 'zeros':
          return zerosFrom(l2, at, end);
        case 'plain':
          return plainAround(l2, at, piece.offset, start, end);
        case 'compressed': {
          const from = offset - (offset % clusterBytes);
          return {
            start: from,
            length: Math.min(clusterBytes, end - from),
            content: {
              kind: 'stored',
              offset: piece.offset,
              length: piece.length,
              encoding: { kind: 'qcow2-cluster', compression: header.compression },
            },
          };
        }
      }
    },
  };
}

/** Bits 9 to 55. */
function hostOffset(high: number, low: number): number {
  return (high & OFFSET_HIGH) * 2 ** 32 + ((low & OFFSET_LOW) >>> 0);
}

/**
 * "Extended L2 Entries": what is not allocated, or all zeros, has no data where there is no backing file.
 *
 * @param allocated bits 0 to 31 of the bitmap
 * @param zeros bits 32 to 63
 */
function isAllocated(allocated: number, zeros: number, subcluster: number): boolean {
  const bit = 1 << subcluster;
  if ((allocated & bit) !== 0 && (zeros & bit) !== 0) {
    throw qcow2Corrupt('a subcluster is allocated and all zeros');
  }
  return (allocated & bit) !== 0;
}
