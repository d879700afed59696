import type { Block, BlockMap, RangedFile } from './block-map.ts';
import { bytesPerL2Table, type Qcow2Header } from './qcow2-header.ts';
import { hostOffset, type Qcow2Pieces, qcow2Pieces, requireAligned, requireInside } from './qcow2-pieces.ts';
import { RAW_BLOCK_BYTES } from './raw-blocks.ts';
import { createTableCache } from './table-cache.ts';

/** Bytes of the L1 table that are read at once. */
const L1_PAGE_BYTES = 64 * 1024;

/** Entries that one look at a run of zeros goes through. */
const ZEROS_AT_ONCE = 4096;

/** The part of an image that one L2 table tells of. */
interface Span {
  readonly l2: DataView;
  readonly start: number;
  readonly end: number;
}

/**
 * The clusters of a qcow2 image, as its active tables have them: internal snapshots are not looked at. Compressed clusters
 * are a block each; what is not compressed is told in what lies together in the file, within 128 KiB of the image.
 *
 * @param file the image, of which only the tables are read
 */
export function qcow2Clusters(header: Qcow2Header, file: RangedFile): BlockMap {
  const { size, clusterBits } = header;
  const clusterBytes = 2 ** clusterBits;
  const tableBytes = bytesPerL2Table(header);
  const readTable = l2Tables(header, file);
  const pieces = qcow2Pieces(header, file.size);

  return {
    format: 'qcow2',
    size,
    largestBlock: Math.min(size, Math.max(clusterBytes, RAW_BLOCK_BYTES)),
    largestStored: Math.max(2 * clusterBytes, RAW_BLOCK_BYTES),
    async at(offset) {
      if (offset < 0 || offset >= size) throw new RangeError(`no block has byte ${offset}`);
      const start = offset - (offset % tableBytes);
      const end = Math.min(start + tableBytes, size);
      const l2 = await readTable(start);
      if (l2 === undefined) return { start, length: end - start, content: { kind: 'zeros' } };
      const at = offset - (offset % pieces.bytes);
      const piece = pieces.at(l2, at);
      switch (piece.kind) {
        case 'zeros':
          return zerosFrom(at, { l2, start, end }, pieces);
        case 'plain': {
          const block = plainAround(at, piece.offset, { l2, start, end }, pieces);
          requireInside(block.content.offset, block.length, file.size, 'a cluster');
          return block;
        }
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

/**
 * Reads the L2 table for the bytes of the image from `start` on; undefined when there is none, and all of them are zeros.
 */
function l2Tables(header: Qcow2Header, file: RangedFile): (start: number) => Promise<DataView | undefined> {
  const clusterBytes = 2 ** header.clusterBits;
  const tableBytes = bytesPerL2Table(header);
  const l1Bytes = Math.ceil(header.size / tableBytes) * 8;
  const read = createTableCache(file.read);
  return async (start) => {
    const at = (start / tableBytes) * 8;
    const page = at - (at % L1_PAGE_BYTES);
    const length = Math.min(L1_PAGE_BYTES, l1Bytes - page);
    requireInside(header.l1Offset + page, length, file.size, 'its L1 table');
    const l1 = await read(header.l1Offset + page, length);
    const offset = hostOffset(l1.getUint32(at - page), l1.getUint32(at - page + 4));
    if (offset === 0) return undefined;
    requireAligned(offset, clusterBytes, 'an L2 table');
    requireInside(offset, clusterBytes, file.size, 'an L2 table');
    return read(offset, clusterBytes);
  };
}

/** The run of zeros from the piece at `offset` on, as far as it is worth looking. */
function zerosFrom(offset: number, { l2, end }: Span, pieces: Qcow2Pieces): Block {
  let at = offset + pieces.bytes;
  for (let count = 0; at < end && count < ZEROS_AT_ONCE; count++) {
    if (pieces.at(l2, at).kind !== 'zeros') break;
    at += pieces.bytes;
  }
  return { start: offset, length: Math.min(at, end) - offset, content: { kind: 'zeros' } };
}

/** What lies together with the piece at `offset`: within its 128 KiB of the image, and its table. */
function plainAround(offset: number, host: number, { l2, start, end }: Span, pieces: Qcow2Pieces) {
  const around = offset - (offset % RAW_BLOCK_BYTES);
  const first = Math.max(start, around);
  const last = Math.min(end, around + RAW_BLOCK_BYTES);
  const isTogether = (at: number) => {
    const piece = pieces.at(l2, at);
    return piece.kind === 'plain' && piece.offset - at === host - offset;
  };
  let from = offset;
  while (from > first && isTogether(from - pieces.bytes)) from -= pieces.bytes;
  let to = offset + pieces.bytes;
  while (to < last && isTogether(to)) to += pieces.bytes;
  const length = Math.min(to, last) - from;
  const stored = { kind: 'stored', offset: host - (offset - from), length } as const;
  return { start: from, length, content: { ...stored, encoding: { kind: 'plain' } } } as const;
}
