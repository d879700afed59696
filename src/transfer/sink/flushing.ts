import fs from 'node:fs';
import { storageError } from './storage-error.ts';

/** How many new bytes there are when they are sent on to the disk, whose cache takes its time, too. */
const FLUSH_BYTES = 16 * 1024 * 1024;

/**
 * Has a file put onto its disk while it is written, so that the end has less to wait for. That the disk does not keep something, the
 * kernel tells once: nobody else will hear of it.
 */
export interface Flushing {
  /** More of it is written. */
  written(bytes: number): void;
  /** @throws RdpullError of the storage family, when it is known that something that was written is not on the disk */
  requireKept(): void;
  /**
   * Settles when it has nothing more to do with the file.
   *
   * @throws RdpullError as {@link requireKept}
   */
  end(): Promise<void>;
}

/** By a thread of the runtime's pool: who fetches or decodes does not wait for the disk. Only to begin with the writing would leave its cache for the end. */
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

  function requireKept(): void {
    if (failure !== undefined && failure !== null) throw storageError(path, all, failure);
  }

  return {
    written(bytes) {
      all += bytes;
      if (all - flushed < FLUSH_BYTES || under !== undefined) return;
      flushed = all;
      under = flush();
    },
    requireKept,
    async end() {
      await under;
      requireKept();
    },
  };
}
