import type { Dispatcher } from 'undici-real';
import { keepBytes } from '../kept-bytes.ts';
import { faultOf, HttpFault } from './http-fault.ts';
import { fieldValues, type ResponseHead } from './response-head.ts';

/** Bytes that have arrived and nobody has asked for, at most, until the connection is not read any more. */
const AHEAD = 128 * 1024;

/**
 * What is shorter, in bytes, is put together with what follows: a chunk by itself costs more than itself, and keeps all that came
 * with it.
 */
const SHORT = 512;
const TOGETHER = 16 * 1024;

/** The answer to one request, as it comes. */
export interface Answer {
  /** For undici. */
  readonly handler: Dispatcher.DispatchHandler;
  /**
   * The head. The promise fails with an Error that has a code of the network, an HttpFault, or the reason of the signal.
   */
  readonly head: Promise<ResponseHead>;
  /** Whether the request was sent, and nothing has come: nobody may have heard it. */
  readonly isUnheard: boolean;
  /** The body; each chunk is handed on as it came, and one that is here already without waiting. */
  body(named: (error: unknown) => Error): AsyncIterable<Uint8Array>;
  /** The request is on its way over a connection that was kept: the first byte has to come within so many ms. */
  hurry(milliseconds: number): void;
  /** Gives up the connection, unless all has come. */
  close(): void;
}

/**
 * @param silence how long nothing of use may come while somebody waits, in ms: a byte now and then of a head that does not
 *   end is none
 */
export function createAnswer(silence: number, signal: AbortSignal): Answer {
  const queue: Uint8Array[] = [];
  let queued = 0;
  /** The chunk that the reader has. */
  let last: Uint8Array | undefined;
  let controller: Dispatcher.DispatchController | undefined;
  let outcome: { readonly error: unknown } | 'end' | undefined;
  let waiting: { readonly wake: () => void } | undefined;
  let inBody = false;
  let isSent = false;
  let hasBegun = false;
  let limit: NodeJS.Timeout | undefined;
  /** When somebody began to wait for what is of use. */
  let since: number | undefined;
  const head = Promise.withResolvers<ResponseHead>();
  // A failure is told to whoever waits for the head, if anybody does.
  head.promise.catch(() => undefined);

  const aborted = () => giveUp(signal.reason);

  function finish(how: { readonly error: unknown } | 'end'): void {
    if (outcome !== undefined) return;
    outcome = how;
    clearTimeout(limit);
    signal.removeEventListener('abort', aborted);
    if (how !== 'end') head.reject(how.error);
    waiting?.wake();
  }

  function giveUp(error: unknown): void {
    finish({ error });
    controller?.abort(error instanceof Error ? error : new Error(String(error)));
  }

  /** One timer for all chunks: to set a new one for each would cost more than the rest of this. */
  function checkSilence(): void {
    const isWaiting = !inBody || waiting !== undefined;
    const spent = !isWaiting || since === undefined ? 0 : performance.now() - since;
    // A timer may be early by a part of a millisecond.
    if (spent < silence - 1) limit = setTimeout(checkSilence, silence - spent);
    else giveUp(tooSilent(silence));
  }

  function tooSilent(milliseconds: number): HttpFault {
    const code = inBody ? 'RDPULL_SILENT_BODY' : 'RDPULL_SILENT_HEAD';
    return new HttpFault(code, `nothing came for ${milliseconds} ms`);
  }

  signal.addEventListener('abort', aborted);
  if (signal.aborted) aborted();

  /** What has come in short chunks, behind all that is in the queue. */
  let together = keepBytes(TOGETHER);

  function arrived(chunk: Buffer): void {
    queued += chunk.length;
    if (chunk.length < SHORT && together.add(chunk)) return;
    endTogether();
    if (chunk.length >= SHORT || !together.add(chunk)) queue.push(chunk);
  }

  function endTogether(): void {
    if (together.length === 0) return;
    queue.push(together.bytes());
    together = keepBytes(TOGETHER);
  }

  function take(): Uint8Array | undefined {
    if (queue.length === 0) endTogether();
    const chunk = queue.shift();
    if (chunk === undefined) return undefined;
    release(last);
    last = chunk;
    queued -= chunk.length;
    if (queued === 0 && outcome === undefined) controller?.resume();
    return chunk;
  }

  return {
    handler: {
      onRequestStart(given) {
        controller = given;
        isSent = true;
        if (outcome !== undefined) return given.abort(new Error('given up'));
        since = performance.now();
        limit ??= setTimeout(checkSilence, silence);
      },
      onResponseStarted() {
        hasBegun = true;
      },
      onResponseStart({ rawHeaders }, status, _, reason = '') {
        if (status < 200) return;
        inBody = true;
        since = undefined;
        const raw = Array.isArray(rawHeaders) ? rawHeaders.map((each) => Buffer.from(each)) : [];
        head.resolve({ status, reason: reason.trim(), values: fieldValues(raw) });
      },
      onResponseData(given, chunk) {
        // llhttp goes on with nothing, where it had been stopped.
        if (chunk.length === 0) return;
        arrived(chunk);
        if (waiting !== undefined) waiting.wake();
        else if (queued >= AHEAD) given.pause();
      },
      onResponseEnd: () => finish('end'),
      onResponseError(_, error) {
        finish({ error: faultOf(error, inBody) });
      },
    },
    head: head.promise,
    get isUnheard() {
      return isSent && !hasBegun;
    },
    hurry(milliseconds) {
      if (outcome !== undefined || milliseconds >= silence) return;
      setTimeout(() => {
        if (!hasBegun) giveUp(tooSilent(milliseconds));
      }, milliseconds);
    },
    body(named) {
      let failure: Error | undefined;
      async function next(): Promise<IteratorResult<Uint8Array, undefined>> {
        if (failure !== undefined) throw failure;
        for (;;) {
          const chunk = take();
          if (chunk !== undefined) {
            since = undefined;
            return { done: false, value: chunk };
          }
          if (outcome === 'end') return { done: true, value: undefined };
          if (outcome !== undefined) {
            failure = named(outcome.error);
            throw failure;
          }
          const { promise, resolve } = Promise.withResolvers<void>();
          since ??= performance.now();
          waiting = { wake: resolve };
          await promise;
          waiting = undefined;
        }
      }
      const close = this.close;
      return {
        [Symbol.asyncIterator]: () => ({
          next,
          return: async () => {
            close();
            return { done: true, value: undefined };
          },
        }),
      };
    },
    close() {
      if (outcome === undefined) giveUp(new HttpFault('RDPULL_CLOSED', 'nobody reads on'));
      queue.length = 0;
      together = keepBytes(0);
    },
  };
}

/**
 * Gives back the memory of a chunk, where that is all there is in its buffer: garbage would be collected later, and new memory
 * taken meanwhile.
 */
function release(chunk: Uint8Array | undefined): void {
  if (chunk === undefined || chunk.byteLength !== chunk.buffer.byteLength) return;
  if (chunk.buffer instanceof ArrayBuffer) chunk.buffer.transfer(0);
}
