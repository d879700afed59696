import { size } from '../../../console/quantity.ts';
import { beyondBounds } from './tar-error.ts';

/**
 * What is kept of an archive beyond the member at hand may take so much, in bytes: the attributes of some 190,000 directories.
 * (The member at hand has its headers of 2.2 MiB at most, and what they are taken apart into.)
 */
const MAX_BYTES = 60 << 20;

/**
 * What things take in the runtime, in bytes, beside their names and values: measured as resident memory, 200,000 of each.
 * Names and values are to be copies: a substring keeps its whole string, and a view its whole buffer.
 */
export const COST = {
  /** An object of some fields in a Map, by a string. */
  record: 280,
  /** A Uint8Array. */
  bytes: 120,
  /** A string in a Map. */
  name: 200,
  /** A stretch of a sparse file, in two arrays that grow by a half. */
  extent: 24,
} as const;

/** Counts what is kept, at its real cost, whoever keeps it. */
export class KeptMemory {
  #bytes = 0;

  /**
   * @param what there is too much of, if it is too much
   * @throws RdpullError `limit-exceeded`
   */
  take(bytes: number, what: string): void {
    this.#bytes += bytes;
    if (this.#bytes <= MAX_BYTES) return;
    throw beyondBounds(
      `the tar archive holds more ${what} than rdpull can keep in mind (${size(MAX_BYTES)})`,
      'pack the tree as a disk image and pull it with --type=raw',
    );
  }

  release(bytes: number): void {
    this.#bytes -= bytes;
  }
}
