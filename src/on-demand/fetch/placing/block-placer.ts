import os from 'node:os';
import type { Encoding } from '../../../blocks/block-map.ts';
import { RdpullError } from '../../../console/rdpull-error.ts';
import type { FromWorker, PlacedBlock, PlaceOptions, StoredBytes, ToWorker } from './messages.ts';

/** Threads that decode, at most: each takes memory, and what is fetched waits for the network more often than for them. */
const WORKERS = Math.min(2, os.availableParallelism());

/**
 * Blocks that one of them has before it at once, so that it does not wait for the next. Chunks are small, and unpacked in a fraction of a ms:
 * to wake a thread up for each would take longer, and on a busy machine it is not awake at once.
 */
const AHEAD = { file: 2, chunks: 16 } as const;

/** A block whose bytes are here. */
export interface PlaceJob {
  readonly from: StoredBytes;
  readonly encoding: Encoding;
  readonly start: number;
  readonly length: number;
}

/** Decodes blocks into the cache, in worker threads. */
export interface BlockPlacer extends AsyncDisposable {
  /**
   * @param isUrgent before those that are not
   * @throws RdpullError stream-corrupt, chunk-damaged, file-unreadable (of another file), of the storage family
   */
  place(job: PlaceJob, isUrgent: boolean): Promise<void>;
}

interface Waiting {
  readonly job: PlaceJob;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

interface Thread {
  readonly worker: Worker;
  readonly jobs: Map<number, Waiting>;
  /** What it has not been told of yet: to wake it up for each takes longer than a small block itself. */
  readonly untold: PlacedBlock[];
  readonly closed: PromiseWithResolvers<void>;
}

/**
 * The first thread comes up at once, and another one when there is more to decode than that has time for.
 *
 * @param kind whether blocks are parts of a file, or chunks
 * @param isNeeded whether there will surely be blocks: else the first thread waits for one, too
 */
export function openBlockPlacer(
  options: PlaceOptions,
  kind: keyof typeof AHEAD,
  isNeeded: boolean,
): BlockPlacer {
  const urgent: Waiting[] = [];
  const others: Waiting[] = [];
  const threads: Thread[] = isNeeded ? [startThread()] : [];
  const ahead = AHEAD[kind];
  let count = 0;

  function startThread(): Thread {
    const worker = new Worker(new URL('./block-worker.ts', import.meta.url).href);
    const thread: Thread = { worker, jobs: new Map(), untold: [], closed: Promise.withResolvers() };
    worker.onmessage = ({ data }: MessageEvent<FromWorker>) => receive(thread, data);
    worker.onerror = ({ error, message }) => {
      for (const { reject } of thread.jobs.values()) reject(RdpullError.from(error ?? new Error(message)));
      thread.jobs.clear();
      thread.closed.resolve();
    };
    send(thread, { kind: 'start', ...options });
    return thread;
  }

  function receive(thread: Thread, message: FromWorker): void {
    if (message.kind === 'closed') {
      thread.closed.resolve();
      return;
    }
    const settled = message.outcomes.map(({ job, error }) => ({ waiting: thread.jobs.get(job), error }));
    for (const { job } of message.outcomes) thread.jobs.delete(job);
    give();
    for (const { waiting, error } of settled) {
      if (error === undefined) waiting?.resolve();
      else waiting?.reject(RdpullError.fromRecord(error));
    }
  }

  /** What has come in the same moment is told at once. */
  function tell(thread: Thread, isUrgent: boolean): void {
    const now = () => {
      if (thread.untold.length > 0) send(thread, { kind: 'place', jobs: thread.untold.splice(0) });
    };
    if (isUrgent) now();
    else if (thread.untold.length === 1) setImmediate(now);
  }

  function give(): void {
    for (;;) {
      const free = threads
        .toSorted((one, other) => one.jobs.size - other.jobs.size)
        .find(({ jobs }) => jobs.size < ahead);
      const isUrgent = urgent.length > 0;
      const waiting = free === undefined ? undefined : (urgent.shift() ?? others.shift());
      if (free === undefined || waiting === undefined) break;
      const job = count++;
      free.jobs.set(job, waiting);
      free.untold.push({ job, ...waiting.job });
      tell(free, isUrgent);
    }
    if (threads.length < WORKERS && [...urgent, ...others].some(isEncoded)) {
      threads.push(startThread());
      give();
    }
  }

  return {
    place(job, isUrgent) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      (isUrgent ? urgent : others).push({ job, resolve, reject });
      give();
      return promise;
    },
    async [Symbol.asyncDispose]() {
      const gone = new Error('nobody needs it any more');
      for (const { reject } of [...urgent.splice(0), ...others.splice(0)]) reject(gone);
      for (const thread of threads) {
        tell(thread, true);
        send(thread, { kind: 'close' });
      }
      await Promise.all(threads.map(({ closed }) => closed.promise));
      for (const { worker } of threads) worker.terminate();
    },
  };
}

/** To write what has only to be written, one thread is quick enough. */
function isEncoded({ job }: Waiting): boolean {
  return job.encoding.kind !== 'plain';
}

function send({ worker }: Thread, message: ToWorker): void {
  worker.postMessage(message);
}
