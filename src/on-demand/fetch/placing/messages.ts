import type { Encoding } from '../../../blocks/block-map.ts';
import type { ErrorRecord } from '../../../console/rdpull-error.ts';

/** Where the bytes of a block are: as they are stored, or as they are in the image, which only a chunk can be asked for. */
export type StoredBytes =
  | {
      readonly slot: number;
      /** Bytes in the slot. */
      readonly stored: number;
    }
  | {
      /** Another file, its path for messages, and where in it. */
      readonly fd: number;
      readonly path: string;
      readonly offset: number;
    };

/** A block that is to be put in its place. */
export interface PlacedBlock {
  readonly job: number;
  readonly from: StoredBytes;
  readonly encoding: Encoding;
  /** Bytes of the image. */
  readonly start: number;
  readonly length: number;
}

/** What has become of one. */
export interface PlaceOutcome {
  readonly job: number;
  /** Absent where it is in its place. */
  readonly error?: ErrorRecord;
}

/** Where blocks are put. */
export interface PlaceOptions {
  /** The file of the cache: its descriptor, its path for messages, and the bytes of the image. */
  readonly fd: number;
  readonly path: string;
  readonly size: number;
  /** What is stored of a block lies in one of these. */
  readonly slots: readonly SharedArrayBuffer[];
}

/** From the main thread to the worker. */
export type ToWorker =
  | ({ readonly kind: 'start' } & PlaceOptions)
  | { readonly kind: 'place'; readonly jobs: readonly PlacedBlock[] }
  | { readonly kind: 'close' };

/** From the worker to the main thread. */
export type FromWorker =
  | { readonly kind: 'placed'; readonly outcomes: readonly PlaceOutcome[] }
  | { readonly kind: 'closed' };
