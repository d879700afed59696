import { detectCompression, MAGIC_BYTES } from '../decode/compression.ts';
import type { Compression } from '../decode/compression-magic.ts';
import { MOST_SHRUNK, type ReadAt, xzSizes } from '../decode/xz-index.ts';
import { ZSTD_FRAME_HEADER_BYTES, zstdContentSize } from '../decode/zstd-frame-header.ts';

/** What can be told of the size of an object before it is there. Bytes. */
export interface ExpectedSize {
  readonly compression: Compression;
  /** What will come out of decompression, or the least of it; 0 when nothing says so. */
  readonly uncompressed: number;
  /** Whether that is the size, and not only the least. */
  readonly exact: boolean;
  /** What it will occupy, as far as that is known: {@link uncompressed} without the holes that can be told. */
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
export const START_BYTES = Math.max(MAGIC_BYTES, ZSTD_FRAME_HEADER_BYTES);

/** Compression makes nothing larger by more than this share: what is served is, nearly, the least that is written. */
const LEAST_SHARE = 0.9;

/**
 * Learns the size of an object without reading it: from the length of an uncompressed file, the index at the end of an
 * .xz file, or the header of a zstd frame. gzip and bzip2 do not say (gzip only modulo 4 GiB, and of its last member).
 *
 * @throws RdpullError stream-unsupported, http-web-page
 */
export async function expectSize({ start, size, readAt, enough }: ServedFile): Promise<ExpectedSize> {
  const compression = detectCompression(start);
  const unknown = { compression, uncompressed: 0, exact: false, occupied: (size ?? 0) * LEAST_SHARE };
  switch (compression) {
    case 'none':
      return size === undefined ? unknown : { compression, uncompressed: size, exact: true, occupied: size };
    case 'xz': {
      const worthAsking = size !== undefined && readAt !== undefined && size * MOST_SHRUNK > enough;
      const sizes = worthAsking ? await xzSizes(start, size, readAt) : undefined;
      if (sizes === undefined) return unknown;
      return {
        compression,
        uncompressed: sizes.uncompressed,
        exact: true,
        occupied: sizes.withoutHoles,
      };
    }
    case 'zstd': {
      const bytes = zstdContentSize(start);
      if (bytes === undefined) return unknown;
      return { compression, uncompressed: bytes, exact: false, occupied: bytes };
    }
    case 'gzip':
    case 'bzip2':
      return unknown;
  }
}
