import fs from 'node:fs';
import { storageError } from '../../../transfer/sink/storage-error.ts';

/** How many new bytes there are when they are sent on to the disk. */
const FLUSH_BYTES = 16 * 1024 * 1024;

/** Has a file that others write to put onto its disk meanwhile, so that the end has less to wait for. */
export interface Flushing {
  /** More of it is written. */
  written(bytes: number): void;
  /**
   * Settles when it has nothing more to do with the file.
   *
   * @throws RdpullError of the storage family: what was written is not on the disk, which the kernel tells once
   */
  end(): Promise<void>;
}

/** By a thread of the runtime's pool: who fetches does not wait for the disk. Only to begin with the writing would leave its cache for the end. */
export function createFlushing(fd: number, path: string): Flushing {
  let all = 0;
  let flushed = 0;
  let under: Promise<void> | undefined;
  let failure: unknown;

  async function flush(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    fs.fdatasync(fd, (error) => {
      failure ??= error;
      resolve();
    });
    await promise;
    under = undefined;
  }

  return {
    written(bytes) {
      all += bytes;
      if (all - flushed < FLUSH_BYTES || under !== undefined) return;
      flushed = all;
      under = flush();
    },
    async end() {
      await under;
      if (failure !== undefined && failure !== null) throw storageError(path, all, failure);
    },
  };
}
