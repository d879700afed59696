import { printable } from '../console/printable.ts';
import { shownUrl } from '../console/shown-url.ts';
import { isSystemError } from '../kernel/system-error.ts';
import { connect, proxyToAsk } from './connection.ts';
import { type Answer, createAnswer } from './http/answer.ts';
import { contentLength } from './http/body-framing.ts';
import { createOriginPool, type OriginPool } from './http/origin-pool.ts';
import { networkError, proxyError } from './network-error.ts';
import { proxyRefusal } from './proxy.ts';
import { requireSendable } from './request-headers.ts';
import type { SourceOptions } from './source.ts';

/** How long a server may take to accept a connection, or stay silent, in ms. There is no limit on the whole. */
const SILENCE = 30_000;

/**
 * How long a server may take to begin its answer on a connection that was kept, in ms: some answer one request a connection,
 * whatever they say, and then it is asked again on a new one.
 */
const KEPT_SILENCE = 5000;

/** What becomes of a request on a connection that is gone. */
const LOST = ['RDPULL_CLOSED', 'RDPULL_SILENT_HEAD', 'ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT'];

const PROXY_AUTHENTICATION_REQUIRED = 407;

/** What a request is sent with. */
export type ExchangeOptions = Pick<
  SourceOptions,
  'ca' | 'clientCertificate' | 'headOnly' | 'pools' | 'proxy' | 'zone' | 'signal' | 'silence'
> & {
  /** Sends this with a POST, where others are a GET. Who receives it may get it twice. */
  readonly body?: Uint8Array;
};

/** The answer to one request. */
export interface Exchange {
  readonly status: number;
  /** The words behind the status, fit for a terminal; and the proxy that the answer came through. */
  readonly reason: string;
  /** The value of a header, by its lower-case name; of several, the first. */
  header(name: string): string | undefined;
  /** All values of a header, by its lower-case name. */
  headers(name: string): readonly string[];
  /** What the body is long, or would be for a GET, in bytes, as far as that is said. */
  readonly contentLength: number | undefined;
  /** Each chunk is only valid until the next is asked for. Throws RdpullError of the network family. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Gives up the connection, unless all of the body has come. */
  close(): void;
}

/**
 * Sends one request, and waits for the head of the answer: a GET, a HEAD, or a POST.
 *
 * @throws RdpullError of the network family, http-protocol; the reason of `signal` when it was aborted
 */
export async function exchange(
  url: URL,
  headers: Readonly<Record<string, string>>,
  options: ExchangeOptions,
): Promise<Exchange> {
  const shown = shownUrl(url.href);
  const { signal } = options;
  const proxy = proxyToAsk(url, options);
  const pool = poolFor(url, options);
  const path = url.pathname + url.search;
  const fields = {
    ...headers,
    ...(proxy?.authorization !== undefined && { 'proxy-authorization': proxy.authorization }),
  };
  requireSendable(shown, fields);
  try {
    const answer = await ask(pool, proxy === undefined ? path : url.origin + path, url, options, fields);
    const close = () => {
      answer.close();
      if (options.pools === undefined) pool.close();
    };
    const head = await answer.head;
    const reason = printable(head.reason);
    if (proxy !== undefined && head.status === PROXY_AUTHENTICATION_REQUIRED) {
      close();
      const refusal = proxyRefusal(proxy, head.status, `${head.status} ${reason}`.trim(), url.host);
      throw proxyError(shown, proxy.shown, refusal);
    }
    return {
      status: head.status,
      // Whether it is the proxy or the server who says so cannot be told.
      reason: proxy === undefined ? reason : `${reason}, through the proxy ${proxy.shown}`,
      header: (name) => head.values(name)[0],
      headers: head.values,
      contentLength: contentLength(head.values),
      body: answer.body((error) => networkError(shown, error)),
      close,
    };
  } catch (error) {
    if (options.pools === undefined) pool.close();
    signal.throwIfAborted();
    throw networkError(shown, url.protocol === 'https:' ? withoutAnswer(error) : error);
  }
}

function poolFor(url: URL, { pools, zone, ca, clientCertificate }: ExchangeOptions): OriginPool {
  if (pools === undefined) return createOriginPool(url.origin, { kept: false });
  // What a connection was opened with, it is kept for.
  const name = JSON.stringify([url.origin, zone, ca, clientCertificate?.origin]);
  return pools.of(name, () => createOriginPool(url.origin, { kept: true }));
}

/** Sends the request until somebody has heard it: what goes over a connection that was kept may come too late. */
async function ask(
  pool: OriginPool,
  path: string,
  url: URL,
  options: ExchangeOptions,
  headers: Readonly<Record<string, string>>,
): Promise<Answer> {
  const { silence = SILENCE, signal, headOnly, body } = options;
  for (;;) {
    signal.throwIfAborted();
    const answer = createAnswer(silence, signal);
    const request = {
      method: methodOf(headOnly, body),
      path,
      headers,
      body,
      connect: async () => (await connect(url, options, silence)).socket,
    };
    const { isNew } = await pool.send(request, answer.handler);
    if (!isNew) answer.hurry(KEPT_SILENCE);
    try {
      await answer.head;
      return answer;
    } catch (error) {
      if (isNew || answer.hasBegun || !isSystemError(error, ...LOST)) throw error;
      if (isSystemError(error, 'RDPULL_SILENT_HEAD')) pool.keepNone();
    }
  }
}

function methodOf(headOnly: boolean | undefined, body: Uint8Array | undefined): 'GET' | 'HEAD' | 'POST' {
  if (body !== undefined) return 'POST';
  return headOnly === true ? 'HEAD' : 'GET';
}

/** With TLS 1.3 a server only says that it misses a client certificate when the handshake is over, by hanging up. */
function withoutAnswer(error: unknown): unknown {
  const isClosed = isSystemError(error, 'RDPULL_CLOSED', 'ECONNRESET');
  return isClosed ? Object.assign(new Error(error.message), { code: 'RDPULL_NO_ANSWER' }) : error;
}
