import type net from 'node:net';
import type { Dispatcher } from 'undici-real';
import UndiciPool from 'undici-real/lib/dispatcher/pool.js';
import { adaptParser } from './answer-parser.ts';
import { HEAD_MAX } from './head-record.ts';
import { HttpFault } from './http-fault.ts';

/** How long a connection is kept that nobody uses, in ms; less where the server says so (`Keep-Alive: timeout=`). */
const IDLE = 4000;

/** How many turns of the event loop undici may take to see that a connection can be used again. */
const TURNS_MAX = 10;

/** A request, and how to reach its server where no connection is kept. */
export interface PoolRequest {
  readonly method: 'GET' | 'HEAD' | 'POST';
  /** Path and query, or for a proxy the whole URL. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Of a POST. */
  readonly body?: Uint8Array | undefined;
  readonly connect: () => Promise<net.Socket>;
}

/** The connections to one origin: undici's pool, which opens them as it is told. */
export interface OriginPool {
  /**
   * Sends a request, over a connection that is kept where there is one.
   *
   * @returns whether it goes over a new connection
   */
  send(request: PoolRequest, handler: Dispatcher.DispatchHandler): Promise<{ readonly isNew: boolean }>;
  /** Whether connections are kept for further requests. */
  readonly keeps: boolean;
  /** None is for a minute, and each time that it is said again twice as long: who reads on demand does so for hours. */
  keepNone(): void;
  /** Closes all connections. */
  close(): void;
}

/** How long a server is spared that did not answer on a kept connection, at first, in ms. */
const FIRST_REST = 60_000;

/** @param kept whether connections are kept for further requests */
export function createOriginPool(origin: string, { kept }: { readonly kept: boolean }): OriginPool {
  let keepsFrom = kept ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  let rest = FIRST_REST;
  const keeps = () => performance.now() >= keepsFrom;
  /** How the request that is being handed over makes its connection, if it needs one. */
  let opening: { connect: () => Promise<net.Socket>; begun: boolean } | undefined;

  const pool = new UndiciPool(origin, {
    // undici asks for a connection at once, while it is given the request. Later it only asks when one was lost meanwhile.
    connect(_, callback) {
      const { connect } = opening ?? { connect: lost };
      if (opening !== undefined) opening.begun = true;
      connect().then(
        (socket) => {
          callback(null, socket);
          if (!socket.destroyed) adaptParser(socket);
        },
        (error: Error) => callback(error, null),
      );
    },
    pipelining: kept ? 1 : 0,
    allowH2: false,
    keepAliveTimeout: IDLE,
    maxHeaderSize: HEAD_MAX,
    // The reader of an answer watches how long nothing comes.
    headersTimeout: 0,
    bodyTimeout: 0,
  });

  /** Waits until the connections whose answer has ended are free again, or closed. */
  async function settled(): Promise<void> {
    for (let turn = 0; turn < TURNS_MAX; turn++) {
      const { connected, free, size } = pool.stats;
      if (connected - free <= size) return;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  return {
    async send({ method, path, headers, body = null, connect }, handler) {
      await settled();
      opening = { connect, begun: false };
      const given = opening;
      try {
        pool.dispatch({ method, path, headers, body, ...(!keeps() && { reset: true }) }, handler);
      } finally {
        opening = undefined;
      }
      return { isNew: given.begun };
    },
    get keeps() {
      return keeps();
    },
    keepNone() {
      keepsFrom = Math.max(keepsFrom, performance.now() + rest);
      rest *= 2;
    },
    close: () => void pool.destroy().catch(() => undefined),
  };
}

async function lost(): Promise<never> {
  throw new HttpFault('RDPULL_CLOSED', 'the connection was closed meanwhile');
}
