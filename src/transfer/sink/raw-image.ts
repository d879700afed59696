import fs from 'node:fs';
import type { Sink } from '../../decode/sink.ts';
import { dataIn } from './data-in.ts';
import { createFlushing } from './flushing.ts';
import { storageError } from './storage-error.ts';

/*
 * In the threads of the runtime's pool, so that the caller may decode meanwhile. Not by promisify(), for which each worker would
 * load node:util.
 */
const writeMeanwhile = (fd: number, bytes: Uint8Array, from: number, length: number, position: number) =>
  promised<number>((done) => fs.write(fd, bytes, from, length, position, done));
const truncate = (fd: number, length: number) => promised((done) => fs.ftruncate(fd, length, done));
const sync = (fd: number) => promised((done) => fs.fsync(fd, done));

/**
 * With one processor nobody does anything meanwhile, and each write would be two switches to another thread. `navigator` knows what this
 * process may use (sched_getaffinity(2)), and needs no node:os, which makes tables of all errors and signals.
 */
const writeAt = navigator.hardwareConcurrency > 1 ? writeMeanwhile : fs.writeSync;

/** Takes the image in its order; the whole of it need not be written. */
export interface RawImageSink extends Sink {
  write(chunk: Uint8Array): Promise<void>;
  /** The next so many bytes are zeros. */
  skip(length: number): void;
}

/** Writes a raw image to `path`, which must not exist yet. Blocks of zeros become holes; the length is exact. */
export function openRawImageSink(path: string): RawImageSink {
  /** Where the next chunk goes. */
  let position = 0;
  let written = 0;
  let writing = Promise.resolve();
  const fd = openNew(path);
  const flushing = createFlushing(fd, path);
  let open = true;

  async function attempt<T>(action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      throw storageError(path, written, error);
    }
  }

  async function writeChunk(chunk: Uint8Array, offset: number): Promise<void> {
    for (const { start, end } of dataIn(chunk, offset)) {
      for (let at = start; at < end; ) {
        at += await writeAt(fd, chunk, at, end - at, offset + at);
      }
    }
    written = offset + chunk.length;
    flushing.requireKept();
    flushing.written(chunk.length);
  }

  function write(chunk: Uint8Array): Promise<void> {
    const offset = position;
    position += chunk.length;
    writing = writing.then(() => attempt(() => writeChunk(chunk, offset)));
    return writing;
  }

  return {
    write,
    skip(length) {
      position += length;
    },
    finish: () =>
      attempt(async () => {
        await writing;
        await flushing.end();
        await truncate(fd, position);
        await sync(fd);
        return { bytes: position, entries: 1 };
      }),
    async close() {
      // Another file may get the number of a closed descriptor. Whoever wrote knows of a failure.
      await writing.catch(() => undefined);
      await flushing.end().catch(() => undefined);
      if (open) fs.closeSync(fd);
      open = false;
    },
  };
}

function openNew(path: string): number {
  try {
    return fs.openSync(path, 'wx', 0o600);
  } catch (error) {
    throw storageError(path, 0, error);
  }
}
function promised<T = void>(
  call: (done: (error: NodeJS.ErrnoException | null, result: T) => void) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, result) => (error === null ? resolve(result) : reject(error)));
  });
}
