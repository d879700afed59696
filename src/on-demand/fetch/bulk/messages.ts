import type { ChunkDigest } from '../../../blocks/chunk-digest.ts';
import type { StorePlace } from '../../../chunks/chunk-stores.ts';

/** A chunk that is to be fetched into its place. */
export interface BulkChunk {
  /** Bytes of the image. */
  readonly start: number;
  readonly length: number;
  /** Lower-case hexadecimal. */
  readonly digest: string;
  /** Where else in the image the same bytes lie. */
  readonly otherStarts: readonly number[];
}

/** Many of them, in as few objects as it takes: each that goes to another thread is copied. */
export interface BulkChunks {
  readonly starts: Float64Array;
  readonly lengths: Uint32Array;
  /** {@link DIGEST_BYTES} of each. */
  readonly digests: Uint8Array;
  /** Of those that have any: by their number. */
  readonly otherStarts: ReadonlyMap<number, readonly number[]>;
}

export const DIGEST_BYTES = 32;

/** Where chunks come from, and where they go. */
export interface BulkOptions {
  readonly place: StorePlace;
  readonly algorithm: ChunkDigest;
  /** The average length of a chunk. */
  readonly average: number;
  /** The file of the image. */
  readonly fd: number;
}

/** From the main thread to the worker. */
export type ToBulkWorker =
  | ({ readonly kind: 'start' } & BulkOptions)
  /** More of them; `isLast`: and no more after these. */
  | { readonly kind: 'chunks'; readonly chunks: BulkChunks; readonly isLast: boolean }
  | { readonly kind: 'close' };

/** From the worker to the main thread. */
export type FromBulkWorker =
  | {
      readonly kind: 'progress';
      /** Where the chunks begin in the image that are in their place now. */
      readonly arrived: readonly number[];
      /** And of those that it leaves to others. */
      readonly left: readonly number[];
      readonly requests: number;
      /** Bytes that came. */
      readonly fetched: number;
    }
  /** It fetches no more: all that has not arrived is left to others. */
  | { readonly kind: 'ended' };
