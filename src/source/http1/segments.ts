import type net from 'node:net';
import { HttpFault } from './http-fault.ts';

/** Bytes that have arrived and nobody has asked for, at most, until the socket is paused. */
const AHEAD = 128 * 1024;

/** The bytes that come over a connection, as they come. */
export interface Segments {
  /** The next segment; undefined when none is here. */
  take(): Uint8Array | undefined;
  /**
   * Resolves when there may be another segment.
   *
   * @returns whether there may; if not, the other side has closed the connection in order, and all was taken. Over TLS it
   * may also have been cut: Bun does not say whether a close_notify came.
   * @throws Error with a code of the network; HttpFault for silence; the reason of the signal
   */
  arrival(): Promise<boolean>;
  /** From now on it is a body that is waited for. */
  inBody(): void;
  /** What has come was of use: what comes next may take its time again. */
  progressed(): void;
  /** Gives up the connection. */
  close(): void;
}

/**
 * Reads a socket as fast as somebody asks for what it brings, and no faster.
 *
 * @param silence how long nothing of use may come while somebody waits, in ms: a byte now and then of a head that does not
 *   end is none
 */
export function readSegments(socket: net.Socket, silence: number, signal: AbortSignal): Segments {
  const queue: Uint8Array[] = [];
  let queued = 0;
  let silent: 'RDPULL_SILENT_HEAD' | 'RDPULL_SILENT_BODY' = 'RDPULL_SILENT_HEAD';
  let outcome: { readonly error: unknown } | 'end' | undefined;
  let waiting: { readonly wake: () => void } | undefined;
  /** When somebody began to wait for what is of use. */
  let since: number | undefined;

  const aborted = () => finish({ error: signal.reason });
  let limit = setTimeout(checkSilence, silence);

  /** One timer for all segments: to set a new one for each would cost more than the rest of this. */
  function checkSilence(): void {
    const spent = waiting === undefined || since === undefined ? 0 : performance.now() - since;
    // A timer may be early by a part of a millisecond.
    if (spent < silence - 1) limit = setTimeout(checkSilence, silence - spent);
    else finish({ error: new HttpFault(silent, `nothing came for ${silence} ms`) });
  }

  function finish(how: { readonly error: unknown } | 'end'): void {
    if (outcome !== undefined) return;
    outcome = how;
    clearTimeout(limit);
    signal.removeEventListener('abort', aborted);
    socket.off('data', received).off('end', ended).off('close', closed);
    socket.destroy();
    waiting?.wake();
  }

  function received(segment: Uint8Array): void {
    queue.push(segment);
    queued += segment.length;
    if (waiting !== undefined) waiting.wake();
    else if (queued >= AHEAD) socket.pause();
  }
  const ended = () => finish('end');
  const closed = () => finish({ error: new HttpFault('RDPULL_CLOSED', 'the connection was closed') });

  socket.on('data', received).on('end', ended).on('close', closed);
  // For as long as there is a socket: an error that nobody listens to would end the program.
  socket.on('error', (error) => finish({ error }));
  signal.addEventListener('abort', aborted);
  if (signal.aborted) aborted();

  return {
    take() {
      const segment = queue.shift();
      if (segment === undefined) return undefined;
      queued -= segment.length;
      if (queued === 0 && socket.isPaused()) socket.resume();
      return segment;
    },
    async arrival() {
      if (outcome === undefined && queue.length === 0) {
        const { promise, resolve } = Promise.withResolvers<void>();
        since ??= performance.now();
        waiting = { wake: resolve };
        await promise;
        waiting = undefined;
      }
      if (queue.length > 0) return true;
      if (outcome === 'end') return false;
      if (outcome !== undefined) throw outcome.error;
      return true;
    },
    inBody() {
      silent = 'RDPULL_SILENT_BODY';
      since = undefined;
    },
    progressed() {
      since = undefined;
    },
    close() {
      finish('end');
      queue.length = 0;
    },
  };
}
