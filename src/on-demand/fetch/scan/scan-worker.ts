import fs from 'node:fs';
import { type ChunkTable, parseChunkIndex } from '../../../blocks/chunk-index.ts';
import { zerosIn } from '../../../blocks/chunk-map.ts';
import { createChunkCutter } from '../../../chunks/chunk-cutter.ts';
import { silenceLibraries } from '../../../console/library-output.ts';
import { reasonOf } from '../../../console/rdpull-error.ts';
import { openDecoder } from '../../../decode/compression.ts';
import { compressionOf } from '../../../decode/compression-magic.ts';
import type { Sink } from '../../../decode/sink.ts';
import { writeData } from '../placing/write-data.ts';
import type { FromScanWorker, ScanOptions, ToScanWorker } from './messages.ts';

/** The worker thread that cuts an image into chunks, as the one that is wanted was cut, and puts those that both have into their places. */
declare const self: Worker;

silenceLibraries();

/** Read at once, in bytes. */
const PIECE = 1024 * 1024;
/** For bytes of xz blocks decoded side by side: none, there is one thread. */
const THREADING_MEMORY = 0;

let isClosed = false;

self.onmessage = ({ data }: MessageEvent<ToScanWorker>) => {
  if (data.kind === 'close') isClosed = true;
  else void scan(data).then((defect) => send({ kind: 'ended', defect }));
};

/** @returns why it could not go on to the end */
async function scan({ path, index, fd }: ScanOptions): Promise<string | undefined> {
  const wanted = wantedChunks(parseChunkIndex(index), fd);
  try {
    await readThrough(path, wanted.add, wanted.tell);
    wanted.end();
    return undefined;
  } catch (error) {
    return reasonOf(error);
  } finally {
    wanted.tell();
  }
}

/** Has all that comes out of a file go through `add`. */
async function readThrough(path: string, add: (bytes: Uint8Array) => void, pause: () => void): Promise<void> {
  const fd = fs.openSync(path, 'r');
  try {
    const piece = Buffer.alloc(PIECE);
    let count = fs.readSync(fd, piece);
    const sink: Sink = {
      write: (bytes) => void add(bytes),
      finish: () => ({ bytes: 0, entries: 0 }),
      close: () => undefined,
    };
    const cancelled = () => isClosed;
    const context = { sink, threadingMemory: THREADING_MEMORY, cancelled };
    const decoder = openDecoder(compressionOf(piece.subarray(0, count)) ?? 'none', context);
    try {
      for (; count > 0 && !isClosed; count = fs.readSync(fd, piece)) {
        await decoder.write(piece.subarray(0, count));
        pause();
        // Whoever wants this to end is heard.
        await new Promise((resolve) => setImmediate(resolve));
      }
      await decoder.finish();
    } finally {
      decoder.close();
    }
  } finally {
    fs.closeSync(fd);
  }
}

/** Puts the chunks of a stream that a table has into their places, the first of those that it has twice. */
function wantedChunks(table: ChunkTable, fd: number) {
  const isZeros = zerosIn(table);
  /** By the number of the chunk: whether it is in its place. */
  const present = new Uint8Array(table.count);
  let found: number[] = [];
  const cutter = createChunkCutter(table.made, (bytes) => {
    const number = table.numberOf(new Bun.CryptoHasher(table.algorithm).update(bytes).digest());
    if (number === undefined || table.length(number) !== bytes.length || isZeros(number)) return;
    if (present[number] === 1) return;
    writeData(fd, bytes, table.start(number));
    present[number] = 1;
    found.push(table.start(number));
  });
  return {
    ...cutter,
    tell() {
      if (found.length > 0) send({ kind: 'found', starts: found });
      found = [];
    },
  };
}

function send(message: FromScanWorker): void {
  postMessage(message);
}
