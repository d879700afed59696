import type { ChunkTable } from '../../../blocks/chunk-index.ts';
import { printable } from '../../../console/printable.ts';
import { RdpullError } from '../../../console/rdpull-error.ts';
import type { FromScanWorker, ToScanWorker } from './messages.ts';

export interface SeedScanOptions {
  /** Of the image that is wanted. */
  readonly table: ChunkTable;
  /** An image of this machine without an index, packed or not. */
  readonly path: string;
  /** The file of the image that is wanted. */
  readonly fd: number;
  /** A part of it is in its place. */
  readonly found: (start: number, length: number) => void;
  readonly notify: (text: string) => void;
  readonly signal: AbortSignal;
}

/**
 * Looks through an image of which nobody knows the chunks: it is cut as the one that is wanted was, in a thread of its own, and what both have goes
 * to where it belongs. Takes as long as to unpack and hash the image, and the memory of one chunk and of the decoder. A file that is damaged is of use as
 * far as it goes.
 *
 * @throws the reason of the signal; RdpullError internal
 */
export async function scanSeed({ table, path, fd, found, notify, signal }: SeedScanOptions): Promise<void> {
  signal.throwIfAborted();
  notify(`${printable(path)} has no index: it is cut into chunks, to see which of them need not be fetched`);
  const worker = new Worker(new URL('./scan-worker.ts', import.meta.url).href);
  const send = (message: ToScanWorker) => worker.postMessage(message);
  const ended = Promise.withResolvers<void>();
  worker.onmessage = ({ data }: MessageEvent<FromScanWorker>) => {
    if (data.kind === 'found') {
      for (const start of data.starts) found(start, table.chunk(table.numberAt(start)).length);
      return;
    }
    if (data.defect !== undefined && !signal.aborted)
      notify(`${printable(path)} is of no further use for this image: ${data.defect}`);
    ended.resolve();
  };
  worker.onerror = ({ error, message }) => ended.reject(RdpullError.from(error ?? new Error(message)));
  const aborted = () => send({ kind: 'close' });
  signal.addEventListener('abort', aborted);
  try {
    send({ kind: 'start', path, index: table.bytes, fd });
    await ended.promise;
  } finally {
    signal.removeEventListener('abort', aborted);
    worker.terminate();
  }
  signal.throwIfAborted();
}
