import type { Described, Fetched } from '../transfer/copies.ts';
import type { Promised } from '../transfer/promise.ts';
import type { ChunkedKeeper } from './chunked-download.ts';
import type { PartsTaker } from './fetch/block-fetcher.ts';

/** Keeps images for another time. What fails there is no failure of the pull. */
export interface ImageKeeper extends ChunkedKeeper {
  /**
   * Whether a file is here that is the one that is wanted: it need not be read on demand.
   *
   * @param describe asks the server what it has; for what is not promised
   * @throws whatever the keeper means by it, which ends the pull
   */
  has(promised: Promised | undefined, describe: () => Promise<Described | undefined>): Promise<boolean>;
  /** The image is in use from now on, and no other one can take its place; the initrd is still there. */
  shown(): void;
  /** The file at `path` is complete, and has the bytes that were served. */
  completeFile(path: string, fetched: Omit<Fetched, 'sha256'>): Promise<void>;
  /**
   * A file is fetched that is packed: it is kept as it comes, because it is not there any more when the image is.
   *
   * @param size bytes as served
   */
  beginParts(size: number): PartsInProgress | undefined;
}

/** A file that is kept while its parts come, in any order. Disposing of one that is not complete removes it. */
export interface PartsInProgress extends PartsTaker, Disposable {
  /** All of them have come. */
  complete(fetched: Fetched): Promise<void>;
}
