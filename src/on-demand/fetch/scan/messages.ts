/** A file that is to be cut, and where what is wanted of it goes. */
export interface ScanOptions {
  /** An image of this machine, packed or not. */
  readonly path: string;
  /** The index of the image that is wanted. */
  readonly index: Uint8Array;
  /** The file of the image that is wanted. */
  readonly fd: number;
}

/** From the main thread to the worker. */
export type ToScanWorker = ({ readonly kind: 'start' } & ScanOptions) | { readonly kind: 'close' };

/** From the worker to the main thread. */
export type FromScanWorker =
  | {
      readonly kind: 'found';
      /** Where the chunks begin in the image that are in their place now. */
      readonly starts: readonly number[];
    }
  | {
      readonly kind: 'ended';
      /** Why the file was not read to its end, fit for a terminal. */
      readonly defect: string | undefined;
    };
