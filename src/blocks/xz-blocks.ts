import { isXzCheckKnown } from '../decode/xz-block.ts';
import { paddedBlock, visitXzStreams, XZ_STREAM_HEADER_BYTES } from '../decode/xz-index.ts';
import { type MapResult, noMap, type RangedFile } from './block-map.ts';
import { BlockTable, MAX_BLOCKS, tableMap } from './block-table.ts';

/** Each is a request to the server: one is enough for a single stream with an index below 64 KiB. */
const MAX_READS = 64;

/** Section 4.3: "Unpadded Size MUST never be zero"; a header of 8 bytes is the least that a block has. */
const LEAST_UNPADDED = 8;

const REMEDY = 'compress it with: xz -T0 --block-size=1MiB';

/** A stream whose records were read, and are to be put behind those of the streams before it. */
interface Stream {
  readonly start: number;
  readonly check: number;
  /** Of each block its unpadded and its uncompressed size, in turn. */
  readonly sizes: readonly number[];
}

/**
 * The blocks of an .xz file (The .xz File Format 1.2.1). What its indexes say is checked against the header of each block,
 * and against what comes out of it, when that is decoded.
 *
 * @param start the first bytes of the file
 */
export async function xzBlocks(start: Uint8Array, { size, read }: RangedFile): Promise<MapResult> {
  const streams: Stream[] = [];
  let records = 0;
  let bytes = 0;
  let flaw: string | undefined;
  const complete = await visitXzStreams(start, size, read, MAX_READS, (stream) => {
    const sizes: number[] = [];
    stream.records((unpadded, uncompressed) => {
      records++;
      if (records > MAX_BLOCKS) flaw = `has more than ${MAX_BLOCKS} blocks of xz`;
      else if (unpadded < LEAST_UNPADDED) flaw = 'has a damaged xz index';
      if (flaw !== undefined) return false;
      sizes.push(unpadded, uncompressed);
      return true;
    });
    bytes += stream.uncompressed;
    if (!Number.isSafeInteger(bytes)) flaw = 'has a damaged xz index';
    if (!isXzCheckKnown(stream.check)) flaw = `has an integrity check that nobody knows (${stream.check})`;
    streams.push({ start: stream.start, check: stream.check, sizes });
    return flaw === undefined;
  });
  if (flaw !== undefined) return noMap(flaw, REMEDY);
  if (!complete) return noMap('has no xz index that can be read', 'look at it with: xz --list -v');
  return tableMap('xz', tableOf(streams.reverse()), 'block', REMEDY, ({ offset, stored, tag }) => ({
    kind: 'stored',
    offset,
    length: stored,
    encoding: { kind: 'xz-block', check: tag },
  }));
}

/** @param streams in the order of the file */
function tableOf(streams: readonly Stream[]): BlockTable {
  const table = new BlockTable();
  for (const { start, check, sizes } of streams) {
    let offset = start + XZ_STREAM_HEADER_BYTES;
    for (let at = 0; at < sizes.length; at += 2) {
      const stored = paddedBlock(sizes[at] ?? 0);
      table.add({ offset, stored, length: sizes[at + 1] ?? 0, tag: check });
      offset += stored;
    }
  }
  return table;
}
