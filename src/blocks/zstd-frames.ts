import { type MapResult, noMap, type RangedFile } from './block-map.ts';
import { BlockTable, MAX_BLOCKS, tableMap } from './block-table.ts';

/** contrib/seekable_format/zstd_seekable_compression_format.md of zstd, version 0.1.0: the footer of the seek table. */
const FOOTER = { size: 9, frames: 0, descriptor: 4, magic: 5 } as const;
const SEEKABLE_MAGIC = 0x8f92eab1;
const CHECKSUM_FLAG = 0x80;
/** Bits 6 to 2. A decoder has to refuse the table when one of them is set. */
const RESERVED_BITS = 0x7c;

/** RFC 8878, section 3.1.2: the skippable frame that the table is. */
const TABLE_MAGIC = 0x184d2a5e;
const TABLE_HEADER_BYTES = 8;

/** Read at once: the table of 8000 frames, or of 5000 with checksums. */
const TAIL_BYTES = 64 * 1024;

/** In place of a checksum. */
const NO_CHECKSUM = -1;

const REMEDY = 'compress it with: xz -T0 --block-size=1MiB, or zstd in the seekable format';

/**
 * The frames of a zstd file that ends with a seek table. Frames without one are not looked for: their headers do not say
 * how long they are, and pzstd's not even what comes out of them.
 */
export async function zstdFrames({ size, read }: RangedFile): Promise<MapResult> {
  if (size < FOOTER.size) return withoutTable();
  const tailBytes = Math.min(size, TAIL_BYTES);
  const tail = await read(size - tailBytes, tailBytes);
  const footer = viewOf(tail.subarray(tailBytes - FOOTER.size));
  if (footer.getUint32(FOOTER.magic, true) !== SEEKABLE_MAGIC) return withoutTable();
  const frames = footer.getUint32(FOOTER.frames, true);
  if (frames > MAX_BLOCKS) return noMap(`has more than ${MAX_BLOCKS} frames of zstd`, REMEDY);
  const descriptor = footer.getUint8(FOOTER.descriptor);
  if ((descriptor & RESERVED_BITS) !== 0) return damaged();

  const hasChecksums = (descriptor & CHECKSUM_FLAG) !== 0;
  const tableBytes = TABLE_HEADER_BYTES + frames * entryBytes(hasChecksums) + FOOTER.size;
  if (tableBytes > size) return damaged();
  const bytes =
    tableBytes <= tailBytes
      ? tail.subarray(tailBytes - tableBytes)
      : await read(size - tableBytes, tableBytes);
  const table = readTable(viewOf(bytes), frames, hasChecksums);
  if (table === undefined || table.end !== size - tableBytes) return damaged();
  return tableMap('zstd', table.blocks, 'frame', REMEDY, ({ offset, stored, tag }) => ({
    kind: 'stored',
    offset,
    length: stored,
    encoding: { kind: 'zstd-frame', checksum: tag === NO_CHECKSUM ? undefined : tag },
  }));
}

function entryBytes(hasChecksums: boolean): number {
  return hasChecksums ? 12 : 8;
}

/** @returns the frames, and where the last of them ends in the file; undefined when it is no such table */
function readTable(
  view: DataView,
  frames: number,
  hasChecksums: boolean,
): { readonly blocks: BlockTable; readonly end: number } | undefined {
  if (view.getUint32(0, true) !== TABLE_MAGIC) return undefined;
  if (view.getUint32(4, true) !== view.byteLength - TABLE_HEADER_BYTES) return undefined;
  const blocks = new BlockTable();
  let offset = 0;
  for (let frame = 0; frame < frames; frame++) {
    const at = TABLE_HEADER_BYTES + frame * entryBytes(hasChecksums);
    const stored = view.getUint32(at, true);
    const length = view.getUint32(at + 4, true);
    if (stored === 0 && length > 0) return undefined;
    blocks.add({ offset, stored, length, tag: hasChecksums ? view.getUint32(at + 8, true) : NO_CHECKSUM });
    offset += stored;
  }
  return { blocks, end: offset };
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function withoutTable(): MapResult {
  return noMap(
    'is compressed with zstd without a seek table, and can only be read from its beginning',
    REMEDY,
  );
}

function damaged(): MapResult {
  return noMap('has a damaged zstd seek table', 'make the file again, or upload it again');
}
