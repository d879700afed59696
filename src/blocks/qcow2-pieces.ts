import { bytesPerL2Table, type Qcow2Header, qcow2Corrupt } from './qcow2-header.ts';
import { RAW_BLOCK_BYTES } from './raw-blocks.ts';

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
export type Piece =
  | { readonly kind: 'zeros' }
  /** `offset`: where it lies in the file. */
  | { readonly kind: 'plain'; readonly offset: number }
  /** All of its cluster lies there. */
  | { readonly kind: 'compressed'; readonly offset: number; readonly length: number };

/** The pieces of an image, as its L2 tables have them. */
export interface Qcow2Pieces {
  /** The least that is told of: all of it is of one kind, and lies together. */
  readonly bytes: number;
  /**
   * What the table says of the piece that begins with byte `offset` of the image.
   *
   * @throws RdpullError when that cannot be
   */
  at(l2: DataView, offset: number): Piece;
}

/** @param fileBytes the size of the file */
export function qcow2Pieces(header: Qcow2Header, fileBytes: number): Qcow2Pieces {
  const { clusterBits, extendedL2 } = header;
  const clusterBytes = 2 ** clusterBits;
  const subclusterBytes = clusterBytes / SUBCLUSTERS;
  const tableBytes = bytesPerL2Table(header);

  function at(l2: DataView, offset: number): Piece {
    const entry = Math.floor((offset % tableBytes) / clusterBytes) * (extendedL2 ? 16 : 8);
    const high = l2.getUint32(entry);
    const low = l2.getUint32(entry + 4);
    if ((high & COMPRESSED) !== 0) return compressed(high, low);
    const host = hostOffset(high, low);
    if (extendedL2) {
      const subcluster = Math.floor((offset % clusterBytes) / subclusterBytes);
      if (!isAllocated(l2.getUint32(entry + 12), l2.getUint32(entry + 8), subcluster))
        return { kind: 'zeros' };
      if (host === 0) throw qcow2Corrupt('a subcluster lies nowhere');
    } else if ((low & ALL_ZEROS) !== 0) {
      if (header.version < 3) throw qcow2Corrupt('a cluster of version 2 has a flag of version 3');
      return { kind: 'zeros' };
    } else if (host === 0) return { kind: 'zeros' };
    requireAligned(host, clusterBytes, 'a cluster');
    return { kind: 'plain', offset: host + (offset % clusterBytes) };
  }

  /** "Compressed Clusters Descriptor": where it begins, to the byte, and how many sectors it goes on in. */
  function compressed(high: number, low: number): Piece {
    const offsetBits = 62 - (clusterBits - 8) - 32;
    const offset = (high & (2 ** offsetBits - 1)) * 2 ** 32 + low;
    const sectors = (high & DESCRIPTOR) >>> offsetBits;
    requireInside(offset, 1, fileBytes, 'a compressed cluster');
    // The file may end with the last of them, and need not be filled up to a whole sector.
    const length = Math.min((sectors + 1) * 512 - (offset % 512), fileBytes - offset);
    return { kind: 'compressed', offset, length };
  }

  return { bytes: Math.min(extendedL2 ? subclusterBytes : clusterBytes, RAW_BLOCK_BYTES), at };
}

/** Where an entry of an L1 or L2 table points to: bits 9 to 55. */
export function hostOffset(high: number, low: number): number {
  return (high & OFFSET_HIGH) * 2 ** 32 + ((low & OFFSET_LOW) >>> 0);
}

/** @throws RdpullError when something does not begin where a cluster of the file does */
export function requireAligned(offset: number, clusterBytes: number, what: string): void {
  if (offset % clusterBytes !== 0) throw qcow2Corrupt(`${what} begins inside of a cluster`);
}

/** @throws RdpullError when something is not in the file */
export function requireInside(offset: number, length: number, fileBytes: number, what: string): void {
  if (offset + length > fileBytes) throw qcow2Corrupt(`${what} lies behind the end of the file`);
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
