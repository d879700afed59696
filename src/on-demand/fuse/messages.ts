import type { ErrorRecord } from '../../console/rdpull-error.ts';

/** From the main thread to the worker: once. */
export interface Start {
  /** /dev/fuse */
  readonly device: number;
  /** Can be read from when the worker is to end. */
  readonly stop: number;
  /** The cache: a file of `size` bytes, whose pages are there as `bits` says. */
  readonly file: number;
  readonly size: number;
  readonly bits: SharedArrayBuffer;
  /** What the file is called, from `/` on. */
  readonly path: string;
}

/** From the worker to the main thread. */
export type FromWorker =
  /** Somebody reads what is not there; the main thread answers. */
  | { readonly kind: 'missing'; readonly unique: bigint; readonly offset: number; readonly length: number }
  /** Nobody waits for the answer to that any more. */
  | { readonly kind: 'interrupt'; readonly interrupted: bigint }
  /** Nobody has the file any more, or the worker was stopped. It is done. */
  | { readonly kind: 'ended' }
  | { readonly kind: 'failed'; readonly error: ErrorRecord };
