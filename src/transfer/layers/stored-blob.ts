import fs from 'node:fs';
import { punchHole } from '../../kernel/punch-hole.ts';
import { storageError } from '../sink/storage-error.ts';

/** Bytes that are read at once: a slot of the ring takes as many. */
const READ_BYTES = 256 * 1024;
/** So many bytes that were read are given back at once. */
const RELEASE_BYTES = 4 * 1024 * 1024;

/** The bytes of a blob as served, while they wait: in a file without a name, so that whatever happens nothing of it stays. */
export interface StoredBlob extends Disposable {
  /** Bytes that can be read. */
  readonly length: number;
  /** Adds the next bytes. The chunk has to stay as it is until they are written. */
  add(chunk: Uint8Array): Promise<void>;
  /**
   * Hands bytes from `from` on to `take`, as many as one piece has.
   *
   * @param isLast whether nobody will read them again: the room that they take is given back
   * @returns how many there were
   */
  read(from: number, isLast: boolean, take: (bytes: Uint8Array) => Promise<void>): Promise<number>;
}

/**
 * @param path a name that is free, and is free again at once
 * @throws RdpullError of the storage family; so do the methods
 */
export function storeBlob(path: string): StoredBlob {
  const fd = openWithoutName(path);
  const buffer = new Uint8Array(READ_BYTES);
  let length = 0;
  let released = 0;
  let isOpen = true;

  return {
    get length() {
      return length;
    },
    async add(chunk) {
      try {
        for (let done = 0; done < chunk.length; ) {
          done += await writeAt(fd, chunk.subarray(done), length + done);
        }
      } catch (error) {
        throw storageError(path, length, error);
      }
      length += chunk.length;
    },
    async read(from, isLast, take) {
      const count = await readAt(fd, buffer.subarray(0, Math.min(READ_BYTES, length - from)), from).catch(
        (error) => {
          throw storageError(path, length, error);
        },
      );
      await take(buffer.subarray(0, count));
      const until = from + count;
      if (isLast && until - released >= RELEASE_BYTES) {
        punchHole(fd, released, until - released);
        released = until;
      }
      return count;
    },
    [Symbol.dispose]() {
      if (isOpen) fs.closeSync(fd);
      isOpen = false;
    },
  };
}

function openWithoutName(path: string): number {
  try {
    const fd = fs.openSync(path, 'wx+', 0o600);
    fs.unlinkSync(path);
    return fd;
  } catch (error) {
    throw storageError(path, 0, error);
  }
}

function writeAt(fd: number, bytes: Uint8Array, position: number): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  fs.write(fd, bytes, 0, bytes.length, position, (error, count) =>
    error === null ? resolve(count) : reject(error),
  );
  return promise;
}

function readAt(fd: number, bytes: Uint8Array, position: number): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  fs.read(fd, bytes, 0, bytes.length, position, (error, count) =>
    error === null ? resolve(count) : reject(error),
  );
  return promise;
}
