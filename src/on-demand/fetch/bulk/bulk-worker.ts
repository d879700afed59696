import { openBlockDecoder } from '../../../blocks/block-decoder.ts';
import type { ChunkDigest } from '../../../blocks/chunk-digest.ts';
import { silenceLibraries } from '../../../console/library-output.ts';
import { RdpullError } from '../../../console/rdpull-error.ts';
import { type BulkLane, openBulkLane } from './bulk-lane.ts';
import { createGatheringFile } from './gathering-file.ts';
import type { BulkChunk, BulkOptions, FromBulkWorker, ToBulkWorker } from './messages.ts';

/** The worker thread that fetches many chunks: from the socket to the file, so that nothing of them goes from thread to thread. */
declare const self: Worker;

silenceLibraries();

/** What has arrived is told when there is so much of it, in chunks and in bytes: to wake the main thread up for each would cost more than a small one. */
const TELL_CHUNKS = 32;
const TELL_BYTES = 1024 * 1024;
/** And, where little comes, every so many ms. */
const TELL_TIME = 250;

const decoder = openBlockDecoder();
let lane: BulkLane | undefined;

self.onmessage = ({ data }: MessageEvent<ToBulkWorker>) => {
  switch (data.kind) {
    case 'start':
      lane = start(data);
      break;
    case 'chunks':
      lane?.give(data.chunks);
      if (data.isLast) lane?.finish();
      break;
    case 'close':
      lane?.close();
      break;
  }
};

function start({ place, algorithm, fd }: BulkOptions): BulkLane {
  const file = createGatheringFile(fd);
  let untold = nothing();
  let toldAt = performance.now();
  const told = { requests: 0, fetched: 0 };

  function take({ start: at, length, digest }: BulkChunk, stored: Uint8Array | undefined): boolean {
    const isGood = stored !== undefined && isChunk(stored, { algorithm, digest }, file.place(at, length));
    if (isGood) file.taken(length);
    untold[isGood ? 'arrived' : 'left'].push(at);
    if (isGood) untold.bytes += length;
    return isGood;
  }

  /** Where nothing can be written, nothing has arrived: who comes next finds out why. */
  function isWritten(): boolean {
    try {
      file.write();
      return true;
    } catch {
      untold.left.push(...untold.arrived.splice(0));
      return false;
    }
  }

  /** @returns whether there is any use in going on */
  function tell(): boolean {
    const isUseful = isWritten();
    const { requests = 0, fetched = 0 } = lane ?? {};
    const { arrived, left } = untold;
    const since = { requests: requests - told.requests, fetched: fetched - told.fetched };
    Object.assign(told, { requests, fetched });
    send({ kind: 'progress', arrived, left, ...since });
    untold = nothing();
    toldAt = performance.now();
    return isUseful;
  }

  return openBulkLane(place, {
    take,
    advanced() {
      const { arrived, left, bytes } = untold;
      const count = arrived.length + left.length;
      const isMuch = count >= TELL_CHUNKS || bytes >= TELL_BYTES;
      if (!isMuch && (count === 0 || performance.now() - toldAt < TELL_TIME)) return;
      if (!tell()) lane?.close();
    },
    ended() {
      tell();
      decoder[Symbol.dispose]();
      send({ kind: 'ended' });
    },
  });
}

/** Has a chunk made of what a store has of it. @returns whether it is that chunk */
function isChunk(
  stored: Uint8Array,
  { algorithm, digest }: { readonly algorithm: ChunkDigest; readonly digest: string },
  chunk: Uint8Array,
): boolean {
  try {
    decoder.decode(stored, { kind: 'chunk', algorithm, digest }, chunk);
    return true;
  } catch (error) {
    if (error instanceof RdpullError && error.code === 'chunk-damaged') return false;
    throw error;
  }
}

/** What there is to be told when nothing has come. */
function nothing(): { readonly arrived: number[]; readonly left: number[]; bytes: number } {
  return { arrived: [], left: [], bytes: 0 };
}

function send(message: FromBulkWorker): void {
  postMessage(message);
}
