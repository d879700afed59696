import fs from 'node:fs';
import type { Sink } from './sink.ts';
import { storageError } from './storage-error.ts';

/** The unit of a hole: the block size of every file system and the page of tmpfs. */
const BLOCK_BYTES = 4096;
const ZEROS = Buffer.alloc(BLOCK_BYTES);

/** Writes a raw image to `path`, which must not exist yet. Blocks of zeros become holes; the length is exact. */
export function openRawImageSink(path: string): Sink {
  let position = 0;
  const fd = attempt(() => fs.openSync(path, 'wx', 0o600));
  let open = true;

  function attempt<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      throw storageError(path, position, error);
    }
  }

  function writeData(chunk: Buffer, start: number, end: number): void {
    for (let at = start; at < end; ) at += fs.writeSync(fd, chunk, at, end - at, position + at);
  }

  function write(bytes: Uint8Array): void {
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    attempt(() => {
      let dataStart = 0;
      let at = 0;
      while (at < chunk.length) {
        const toBoundary = BLOCK_BYTES - ((position + at) % BLOCK_BYTES);
        const end = Math.min(at + toBoundary, chunk.length);
        if (isZero(chunk, at, end)) {
          writeData(chunk, dataStart, at);
          dataStart = end;
        }
        at = end;
      }
      writeData(chunk, dataStart, chunk.length);
    });
    position += chunk.length;
  }

  function finish() {
    attempt(() => fs.ftruncateSync(fd, position));
    return { bytes: position, entries: 1 };
  }

  function close(): void {
    if (open) fs.closeSync(fd);
    open = false;
  }

  return { write, finish, close };
}

function isZero(chunk: Buffer, start: number, end: number): boolean {
  if (chunk[start] !== 0 || chunk[end - 1] !== 0) return false;
  return chunk.compare(ZEROS, 0, end - start, start, end) === 0;
}
