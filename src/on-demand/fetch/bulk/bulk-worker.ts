import { openBlockDecoder } from '../../../blocks/block-decoder.ts';
import { silenceLibraries } from '../../../console/library-output.ts';
import { type BulkLane, openBulkLane } from './bulk-lane.ts';
import { openChunkBatch } from './chunk-batch.ts';
import {
  type BulkChunk,
  type BulkChunks,
  type BulkOptions,
  DIGEST_BYTES,
  type FromBulkWorker,
  type ToBulkWorker,
} from './messages.ts';

/** The worker thread that fetches many chunks: from the socket to the file, so that nothing of them goes from thread to thread. */
declare const self: Worker;

silenceLibraries();

/** What has arrived is told every so many ms where little comes: else with each batch, because to wake the main thread up for each chunk would cost more than a small one. */
const TELL_TIME = 250;

const decoder = openBlockDecoder();
let lane: BulkLane | undefined;

self.onmessage = ({ data }: MessageEvent<ToBulkWorker>) => {
  switch (data.kind) {
    case 'start':
      lane = start(data);
      break;
    case 'chunks':
      lane?.give(unpacked(data.chunks));
      if (data.isLast) lane?.finish();
      break;
    case 'close':
      lane?.close();
      break;
  }
};

function start({ place, ...options }: BulkOptions): BulkLane {
  let untold = nothing();
  let toldAt = performance.now();
  let isAnyGood = false;
  const told = { requests: 0, fetched: 0 };
  const batch = openChunkBatch(options, decoder, ({ start: at }, isGood) => {
    untold[isGood ? 'arrived' : 'left'].push(at);
    if (isGood) isAnyGood = true;
    opened.judged(isGood);
  });

  function tell(): void {
    const { requests, fetched } = opened;
    const { arrived, left } = untold;
    const since = { requests: requests - told.requests, fetched: fetched - told.fetched };
    Object.assign(told, { requests, fetched });
    send({ kind: 'progress', arrived, left, ...since });
    untold = nothing();
    toldAt = performance.now();
  }

  /** @returns whether there is any use in going on */
  function isSettled(): boolean {
    try {
      batch.settle();
      return true;
    } catch {
      return false;
    }
  }

  const opened = openBulkLane(place, {
    take(chunk, stored) {
      batch.add(chunk, stored);
      // What the store is like, its first good chunk tells.
      if (!isAnyGood) batch.settle();
    },
    advanced() {
      // Who has nothing more to wait for would wait for more to be given, and that for what waits here.
      const isDue = opened.isIdle || performance.now() - toldAt >= TELL_TIME;
      if (isDue && !batch.isEmpty && !isSettled()) opened.close();
      else if (untold.arrived.length + untold.left.length > 0) tell();
    },
    ended() {
      isSettled();
      tell();
      decoder[Symbol.dispose]();
      send({ kind: 'ended' });
    },
  });
  return opened;
}

function unpacked({ starts, lengths, digests, otherStarts }: BulkChunks): BulkChunk[] {
  const text = Buffer.from(digests.buffer, digests.byteOffset, digests.length).toString('hex');
  return Array.from(starts, (start, number) => ({
    start,
    length: lengths[number] ?? 0,
    digest: text.slice(2 * DIGEST_BYTES * number, 2 * DIGEST_BYTES * (number + 1)),
    otherStarts: otherStarts.get(number) ?? [],
  }));
}

/** What there is to be told when nothing has come. */
function nothing(): { readonly arrived: number[]; readonly left: number[] } {
  return { arrived: [], left: [] };
}

function send(message: FromBulkWorker): void {
  postMessage(message);
}
