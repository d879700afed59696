import type { Dispatcher } from 'undici-real';
import { createChunkQueue } from './chunk-queue.ts';
import { createGathering } from './gathering.ts';
import { faultOf, HttpFault } from './http-fault.ts';
import { fieldValues, type ResponseHead } from './response-head.ts';
import { createSilenceWatch } from './silence-watch.ts';

/** Bytes that have arrived and nobody has asked for, at most, until the connection is not read any more. */
const AHEAD = 128 * 1024;

/** The answer to one request, as it comes. */
export interface Answer {
  /** What undici tells of it. */
  readonly handler: Dispatcher.DispatchHandler;
  /** Fails with an Error that has a code of the network, an HttpFault, or the reason of the signal. */
  readonly head: Promise<ResponseHead>;
  /** Whether anything has come: somebody has heard the request. */
  readonly hasBegun: boolean;
  /**
   * The body: each chunk is handed on as it came, and one that is here already without waiting.
   *
   * @param named makes of a failure what the reader gets
   */
  body(named: (error: unknown) => Error): AsyncIterable<Uint8Array>;
  /** The request goes over a connection that was kept: the first byte has to come within so many ms. */
  hurry(milliseconds: number): void;
  /** Gives up the connection, unless all has come. */
  close(): void;
}

/** @param silence how long nothing of use may come while somebody waits, in ms */
export function createAnswer(silence: number, signal: AbortSignal): Answer {
  const queue = createChunkQueue();
  const watch = createSilenceWatch(silence, giveUp);
  const head = Promise.withResolvers<ResponseHead>();
  // A failure is told to whoever waits for the head, if anybody does.
  head.promise.catch(() => undefined);
  let controller: Dispatcher.DispatchController | undefined;
  let outcome: { readonly error: unknown } | 'end' | undefined;
  let wake: (() => void) | undefined;
  let hasHead = false;
  let hasBegun = false;
  let isInChunks = false;
  const gathering = createGathering(() => {
    if (outcome === undefined && queue.bytes < AHEAD) controller?.resume();
  });

  const aborted = () => giveUp(signal.reason);
  signal.addEventListener('abort', aborted);
  if (signal.aborted) aborted();

  function finish(how: { readonly error: unknown } | 'end'): void {
    if (outcome !== undefined) return;
    outcome = how;
    watch.end();
    gathering.end();
    signal.removeEventListener('abort', aborted);
    if (how !== 'end') head.reject(how.error);
    wake?.();
  }

  function giveUp(error: unknown): void {
    finish({ error });
    controller?.abort(error instanceof Error ? error : new Error(String(error)));
  }

  function close(): void {
    if (outcome === undefined) giveUp(new HttpFault('RDPULL_CLOSED', 'nobody reads on'));
    queue.clear();
  }

  /** @throws what `named` makes of a failure */
  async function next(named: (error: unknown) => Error): Promise<IteratorResult<Uint8Array, undefined>> {
    for (;;) {
      const chunk = queue.take();
      if (chunk !== undefined) {
        if (queue.bytes === 0 && outcome === undefined && !gathering.isOn) controller?.resume();
        watch.progressed();
        return { done: false, value: chunk };
      }
      if (outcome === 'end') return { done: true, value: undefined };
      if (outcome !== undefined) throw named(outcome.error);
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      watch.waits(true);
      await promise;
      watch.waits(false);
      wake = undefined;
    }
  }

  return {
    handler: {
      onRequestStart(given) {
        controller = given;
        if (outcome === undefined) watch.begin();
        else given.abort(new Error('given up'));
      },
      onResponseStarted() {
        hasBegun = true;
        watch.heard();
      },
      onResponseStart({ rawHeaders }, status, _, reason = '') {
        if (status < 200) return;
        hasHead = true;
        watch.inBody();
        const raw = Array.isArray(rawHeaders) ? rawHeaders.map((each) => Buffer.from(each)) : [];
        const values = fieldValues(raw);
        isInChunks = values('transfer-encoding').length > 0;
        head.resolve({ status, reason: reason.trim(), values });
      },
      onResponseData(given, chunk) {
        // llhttp goes on with nothing, where it had been stopped.
        if (chunk.length === 0) return;
        queue.add(chunk);
        // What the server has cut into chunks is handed on chunk by chunk, and a wait after each of them would gather nothing.
        if (!isInChunks && gathering.begins(chunk.length)) given.pause();
        if (wake !== undefined) wake();
        else if (queue.bytes >= AHEAD) given.pause();
      },
      onResponseEnd: () => finish('end'),
      onResponseError: (_, error) => finish({ error: faultOf(error, hasHead) }),
    },
    head: head.promise,
    get hasBegun() {
      return hasBegun;
    },
    hurry(milliseconds) {
      if (outcome === undefined && !hasBegun) watch.hurry(milliseconds);
    },
    body: (named) => ({
      [Symbol.asyncIterator]: () => ({
        next: () => next(named),
        async return() {
          close();
          return { done: true, value: undefined };
        },
      }),
    }),
    close,
  };
}
