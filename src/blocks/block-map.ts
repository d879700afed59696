import type { ChunkDigest } from './chunk-digest.ts';

/**
 * Where the bytes of an image lie in the file that a server has of it. What this is for, and how it is used: README.md.
 */

/** Reads `length` bytes at `offset` of the file as served: all of them. Rejects when they cannot be had. */
export type ReadRange = (offset: number, length: number) => Promise<Uint8Array>;

/** A file of which any part can be read. */
export interface RangedFile {
  /** Its length in bytes, as served. */
  readonly size: number;
  readonly read: ReadRange;
}

/** The bytes of an image in pieces that can be had one by one. */
export interface BlockMap {
  readonly format: 'raw' | 'xz' | 'zstd' | 'qcow2' | 'caibx';
  /** Bytes of the image. */
  readonly size: number;
  /** The largest block, in bytes of the image, but for runs of zeros. */
  readonly largestBlock: number;
  /** The most bytes of the file that one block is made of. */
  readonly largestStored: number;
  /**
   * The block that has byte `offset` of the image, which is below {@link size}. A stored block is the same for each of its
   * bytes; of a run of zeros, any part may be told.
   *
   * @throws RdpullError stream-corrupt when the file's own tables cannot be right; what `read` rejects with
   */
  at(offset: number): Promise<Block>;
}

/** A piece of the image. Plain data: it can be sent to another thread. */
export interface Block {
  /** Where it begins in the image, in bytes. */
  readonly start: number;
  /** Bytes of the image; at least 1. */
  readonly length: number;
  readonly content: Content;
}

export type Content =
  | { readonly kind: 'zeros' }
  | {
      readonly kind: 'stored';
      /** The part of the file that it is made of, in bytes. */
      readonly offset: number;
      readonly length: number;
      readonly encoding: Encoding;
    };

/** How the stored bytes become those of the image. */
export type Encoding =
  /** They are those of the image. */
  | { readonly kind: 'plain' }
  /** One block of an .xz stream, its header, padding and check included; `check` is the stream's `lzma_check`. */
  | { readonly kind: 'xz-block'; readonly check: number }
  /** One zstd frame; `checksum`: the low 32 bits of the XXH64 of what comes out, where the seek table has it. */
  | { readonly kind: 'zstd-frame'; readonly checksum: number | undefined }
  /** A compressed cluster of a qcow2 image: a deflate stream, or zstd frames, and whatever lies behind in its sectors. */
  | { readonly kind: 'qcow2-cluster'; readonly compression: 'deflate' | 'zstd' }
  /** A chunk, packed or not, whose bytes have this digest: lower-case hexadecimal. It is a file of its own. */
  | { readonly kind: 'chunk'; readonly algorithm: ChunkDigest; readonly digest: string };

/** A map, or why a file has none: it can only be read as a whole. */
export type MapResult =
  | { readonly kind: 'map'; readonly map: BlockMap }
  | {
      readonly kind: 'none';
      /** What is in the way, to follow the file's name: "is a single block of xz". */
      readonly reason: string;
      /** What whoever makes the file can do about it. */
      readonly remedy: string;
    };

export function noMap(reason: string, remedy: string): MapResult {
  return { kind: 'none', reason, remedy };
}

/**
 * Bytes of the largest block that is worth fetching for one read, and the most that a reader has in memory for it: what
 * `xz -T0 -6` makes is 24 MiB.
 */
export const MAX_BLOCK_BYTES = 32 * 1024 * 1024;
/** What cannot be packed grows: by less than this, in any format (lzma2 by 3 bytes in 64 KiB, deflate by 5). */
export const MAX_STORED_BYTES = MAX_BLOCK_BYTES + 64 * 1024;
