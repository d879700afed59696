import { parseQcow2Header, QCOW2_HEADER_BYTES, type Qcow2Header } from '../blocks/qcow2-header.ts';
import { detectCompression, MAGIC_BYTES } from '../decode/compression.ts';
import type { Compression } from '../decode/compression-magic.ts';
import { isQcow2 } from '../decode/qcow2-magic.ts';
import { MOST_SHRUNK, type ReadAt, xzSizes } from '../decode/xz-index.ts';
import { ZSTD_FRAME_HEADER_BYTES, zstdContentSize } from '../decode/zstd-frame-header.ts';
import { type ConversionPlan, planFor } from './conversion/plan.ts';

/** What can be told of the size of an object before it is there. Bytes. */
export interface ExpectedSize {
  readonly compression: Compression;
  /** What the file begins with; of a compressed one that is not known. */
  readonly format: 'qcow2' | undefined;
  /** What will come out of decompression, or of the conversion, or the least of it; 0 when nothing says so. */
  readonly uncompressed: number;
  /** Whether that is the size, and not only the least. */
  readonly exact: boolean;
  /**
   * What it will occupy, as far as that is known: {@link uncompressed} without the holes that can be told; of a qcow2
   * image what it takes while it is converted.
   */
  readonly occupied: number;
}

/** What is known of the file. */
export interface ServedFile {
  /** Its first bytes: {@link START_BYTES}, or fewer when it is shorter. */
  readonly start: Uint8Array;
  /** Its length in bytes, as served. */
  readonly size: number | undefined;
  /** Reads a part of it, where the server sends parts. */
  readonly readAt: ReadAt | undefined;
  /** With this much room the object surely fits, and a request to learn more is not worth its time. */
  readonly enough: number;
}

/** Bytes of a file's start that hold every header that is looked at. */
export const START_BYTES = Math.max(MAGIC_BYTES, ZSTD_FRAME_HEADER_BYTES, QCOW2_HEADER_BYTES);

/** Each is a request to the server: enough for 30 GiB in clusters of 64 KiB, as qemu-img makes them. */
const MAX_TABLE_READS = 64;
/** Steps through the tables before somebody vouches for them: 12 GiB of data, or more, in a tenth of a second. */
const MAX_STEPS = 100_000;

/** Compression makes nothing larger by more than this share: what is served is, nearly, the least that is written. */
const LEAST_SHARE = 0.9;

/**
 * Learns the size of an object without reading it: from the length of an uncompressed file, the index at the end of an
 * .xz file, the header of a zstd frame, or the tables of a qcow2
 * image. gzip and bzip2 do not say (gzip only modulo 4 GiB, and of its last member).
 *
 * @throws RdpullError stream-unsupported, http-web-page; stream-corrupt, of a qcow2 image
 */
export async function expectSize(file: ServedFile): Promise<ExpectedSize> {
  const { start, size, readAt, enough } = file;
  const compression = detectCompression(start);
  const format = compression === 'none' && isQcow2(start) ? 'qcow2' : undefined;
  if (format === 'qcow2') return { compression, format, ...(await expectConversion(file)) };
  const unknown = { compression, format, uncompressed: 0, exact: false, occupied: (size ?? 0) * LEAST_SHARE };
  switch (compression) {
    case 'none':
      return size === undefined
        ? unknown
        : { compression, format, uncompressed: size, exact: true, occupied: size };
    case 'xz': {
      const worthAsking = size !== undefined && readAt !== undefined && size * MOST_SHRUNK > enough;
      const sizes = worthAsking ? await xzSizes(start, size, readAt) : undefined;
      if (sizes === undefined) return unknown;
      return {
        compression,
        format,
        uncompressed: sizes.uncompressed,
        exact: true,
        occupied: sizes.withoutHoles,
      };
    }
    case 'zstd': {
      const bytes = zstdContentSize(start);
      if (bytes === undefined) return unknown;
      return { compression, format, uncompressed: bytes, exact: false, occupied: bytes };
    }
    case 'gzip':
    case 'bzip2':
      return unknown;
  }
}

/** Of a qcow2 image, which is downloaded as it is, and becomes a raw one then. */
async function expectConversion({
  start,
  size,
  readAt,
  enough,
}: ServedFile): Promise<Pick<ExpectedSize, 'uncompressed' | 'exact' | 'occupied'>> {
  const header = parseQcow2Header(start);
  const known = { uncompressed: header.size, exact: true };
  const worthAsking = size !== undefined && readAt !== undefined && size + header.size > enough;
  const plan = worthAsking ? await planByParts(header, size, readAt) : undefined;
  // What comes has to lie there before it is converted.
  if (size === undefined || plan === undefined) return { ...known, occupied: (size ?? 0) * LEAST_SHARE };
  return { ...known, occupied: size + (plan.growth ?? plan.data) };
}

class NotToBeHad extends Error {}

/** undefined when the tables cannot be had, or are too many to ask for */
async function planByParts(
  header: Qcow2Header,
  size: number,
  readAt: ReadAt,
): Promise<ConversionPlan | undefined> {
  let reads = 0;
  let steps = 0;
  async function read(offset: number, length: number): Promise<Uint8Array> {
    reads++;
    const bytes = reads > MAX_TABLE_READS ? undefined : await readAt(offset, length);
    if (bytes?.length !== length) throw new NotToBeHad();
    return bytes;
  }
  try {
    const plan = await planFor(header, { size, read }, () => steps++ < MAX_STEPS);
    return steps > MAX_STEPS ? undefined : plan;
  } catch (error) {
    if (error instanceof NotToBeHad) return undefined;
    throw error;
  }
}
