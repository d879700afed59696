import { RdpullError } from '../../console/rdpull-error.ts';
import type { Compression } from '../../decode/compression-magic.ts';
import {
  FOREIGN_END_BYTES,
  FOREIGN_FORMAT_BYTES,
  type ForeignFormat,
  recogniseForeignEnd,
  recogniseForeignFormat,
} from '../../decode/foreign-format.ts';
import { isQcow2 } from '../../decode/qcow2-magic.ts';
import type { Sink } from '../../decode/sink.ts';
import { beginsLikeTarball } from '../../decode/tar-block.ts';
import { recogniseFileSystem } from '../../expose/file-system-magic.ts';
import { hasBootSignature } from '../../expose/master-boot-record.ts';
import type { FileType } from '../../request/image-class.ts';
import { hasMagic } from '../../source/magic-number.ts';

/** What an object is said to be, and how it came. */
export interface ExpectedContent {
  readonly type: FileType;
  /** Known when the first byte comes out of decompression. */
  readonly compression: () => Compression;
  /** Takes its start, when that is what it is said to be; throws when the rest need not come. */
  readonly begun: (start: Uint8Array) => void;
}

/** Bytes of what comes out of decompression that tell what it is: btrfs has its magic number behind 64 KiB. */
export const CONTENT_START_BYTES = 72 * 1024;

/** POSIX.1-1988 (ustar), and GNU tar before it. */
const TAR_MAGIC = { offset: 257, characters: 'ustar' } as const;

/** A sink that looks at the start and the end of what it gets, and refuses what is not what it is said to be. */
export function expectingSink(sink: Sink, { type, compression, begun }: ExpectedContent): Sink {
  const start = Buffer.alloc(CONTENT_START_BYTES);
  let filled = 0;
  let judged = false;
  let end: Uint8Array = new Uint8Array(0);

  function judge(): void {
    judged = true;
    requireContent(start.subarray(0, filled), type, compression());
    begun(start.subarray(0, filled));
  }

  return {
    ...sink,
    async write(chunk) {
      if (!judged) {
        filled += fill(start, filled, chunk);
        if (filled === start.length) judge();
      }
      end = lastBytes(end, chunk);
      try {
        await sink.write(chunk);
      } catch (error) {
        // What it is says more than what is wrong with it.
        if (!judged) judge();
        throw error;
      }
    },
    finish() {
      if (!judged) judge();
      const foreign = type === 'raw' ? recogniseForeignEnd(end) : undefined;
      if (foreign !== undefined) throw unread(foreign, compression());
      return sink.finish();
    },
  };
}

function fill(start: Buffer, filled: number, chunk: Uint8Array): number {
  const part = chunk.subarray(0, start.length - filled);
  start.set(part, filled);
  return part.length;
}

function lastBytes(before: Uint8Array, chunk: Uint8Array): Uint8Array {
  if (chunk.length >= FOREIGN_END_BYTES) return chunk.slice(-FOREIGN_END_BYTES);
  return Buffer.concat([before, chunk]).subarray(-FOREIGN_END_BYTES);
}

/**
 * Judges by the first bytes that come out of decompression whether an object is what it is said to be, and can be used at
 * all. What cannot be told passes.
 *
 * @param start {@link CONTENT_START_BYTES} of it, or fewer when it is shorter
 * @throws RdpullError stream-unsupported
 */
export function requireContent(start: Uint8Array, type: FileType, compression: Compression): void {
  const isTarball = beginsLikeTarball(start);
  const foreign = isTarball ? undefined : recogniseForeignFormat(start.subarray(0, FOREIGN_FORMAT_BYTES));
  if (foreign !== undefined) throw unread(foreign, compression);
  if (type === 'raw' && hasTarMagic(start)) {
    throw new RdpullError(
      'stream-unsupported',
      'the file is a tarball, not a disk image',
      'say tar in place of raw, or --type=tar',
    );
  }
  const image = type === 'tar' && !isTarball ? diskImage(start) : undefined;
  if (image === undefined) return;
  throw new RdpullError(
    'stream-unsupported',
    `the file is a disk image (${image}), not a tarball`,
    'say raw in place of tar, or --type=raw',
  );
}

function unread({ name, remedy }: ForeignFormat, compression: Compression): RdpullError {
  const isPacked = compression !== 'none';
  return new RdpullError(
    'stream-unsupported',
    `the file is ${name}${isPacked ? ` packed with ${compression}` : ''}, and rdpull reads raw images and tarballs`,
    isPacked ? `unpack it, then ${remedy}` : remedy,
  );
}

function hasTarMagic(start: Uint8Array): boolean {
  return hasMagic(start, TAR_MAGIC.characters, TAR_MAGIC.offset);
}

/** What lies in a file that begins with no header. An empty tarball is all zeros, as the start of many file systems is. */
function diskImage(start: Uint8Array): string | undefined {
  if (isQcow2(start)) return 'qcow2';
  const bytes = Buffer.from(start.buffer, start.byteOffset, start.length);
  const image = { size: start.length, read: (at: number, length: number) => bytes.subarray(at, at + length) };
  return recogniseFileSystem(image) ?? (hasBootSignature(image) ? 'with a partition table' : undefined);
}
