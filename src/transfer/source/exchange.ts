import { STATUS_CODES } from 'node:http';
import request from 'undici-real/lib/api/api-request.js';
import Client from 'undici-real/lib/dispatcher/client.js';
import { shownUrl } from '../../console/shown-url.ts';
import { isSystemError } from '../../kernel/system-error.ts';
import { connect } from './connection.ts';
import { networkError, proxyError } from './network-error.ts';
import { proxyRefusal } from './proxy.ts';
import type { SourceOptions } from './source.ts';

/** How long a server may take to accept a connection, or stay silent, in ms. There is no limit on the whole. */
const SILENCE = 30_000;

const PROXY_AUTHENTICATION_REQUIRED = 407;

/** What a request is sent with. */
export type ExchangeOptions = Pick<
  SourceOptions,
  'ca' | 'clientCertificate' | 'headOnly' | 'proxy' | 'zone' | 'signal' | 'silence' | 'warn'
>;

/** The answer to one request. */
export interface Exchange {
  readonly status: number;
  /** The words behind the status, or the usual ones; and the proxy that the answer came through. */
  readonly reason: string;
  /** The value of a header, by its lower-case name; of several, the first. */
  header(name: string): string | undefined;
  /** Each chunk is only valid until the next is asked for. Throws RdpullError of the network family. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Gives up the connection, whether or not the body was read. */
  close(): void;
}

/**
 * Sends one GET or HEAD request on a connection of its own, and waits for the head of the answer. The only file that knows
 * the HTTP client.
 *
 * @throws RdpullError of the network family; the reason of `signal` when it was aborted
 */
export async function exchange(
  url: URL,
  headers: Readonly<Record<string, string>>,
  options: ExchangeOptions,
): Promise<Exchange> {
  const shown = shownUrl(url.href);
  const { silence = SILENCE } = options;
  const { socket, proxy } = await connect(url, options, silence);
  // undici takes the loss of a connection for the end of a body that has no other.
  let loss: Error | undefined;
  socket.on('error', (error: Error) => {
    if (isSystemError(error, 'ECONNRESET', 'ETIMEDOUT', 'EHOSTUNREACH')) loss ??= error;
  });
  let connected = false;
  const client = new Client(url.origin, {
    connect(_, callback) {
      // One connection, made beforehand: when it is lost, the exchange is over. undici has to be answered later.
      const error = connected ? new Error('the connection was lost') : undefined;
      queueMicrotask(() => (error === undefined ? callback(null, socket) : callback(error, null)));
      connected = true;
    },
    headersTimeout: silence,
    bodyTimeout: silence,
  });
  const close = () => {
    socket.destroy();
    client.destroy().catch(() => undefined);
  };
  try {
    const answer = await request.call(client, {
      path: proxy === undefined ? url.pathname + url.search : url.origin + url.pathname + url.search,
      method: options.headOnly === true ? 'HEAD' : 'GET',
      signal: options.signal,
      headers: {
        ...headers,
        ...(proxy?.authorization !== undefined && { 'proxy-authorization': proxy.authorization }),
      },
    });
    answer.body.on('error', () => undefined);
    const reason = answer.statusText || (STATUS_CODES[answer.statusCode] ?? '');
    if (proxy !== undefined && answer.statusCode === PROXY_AUTHENTICATION_REQUIRED) {
      const refusal = proxyRefusal(proxy, answer.statusCode, `${answer.statusCode} ${reason}`, url.host);
      throw proxyError(shown, proxy.shown, refusal);
    }
    return {
      status: answer.statusCode,
      // Whether it is the proxy or the server who says so cannot be told.
      reason: proxy === undefined ? reason : `${reason}, through the proxy ${proxy.shown}`,
      header(name) {
        const value = answer.headers[name];
        return Array.isArray(value) ? value[0] : value;
      },
      body: withNamedErrors(answer.body, shown, () => loss),
      close,
    };
  } catch (error) {
    close();
    options.signal.throwIfAborted();
    throw networkError(shown, url.protocol === 'https:' ? withoutAnswer(error) : error);
  }
}

/** With TLS 1.3 a server only says that it misses a client certificate when the handshake is over, by hanging up. */
function withoutAnswer(error: unknown): unknown {
  const isClosed = isSystemError(error, 'UND_ERR_SOCKET', 'ECONNRESET');
  return isClosed ? Object.assign(new Error(error.message), { code: 'RDPULL_NO_ANSWER' }) : error;
}

async function* withNamedErrors(
  body: AsyncIterable<Uint8Array>,
  shown: string,
  loss: () => Error | undefined,
): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
    const error = loss();
    if (error !== undefined) throw error;
  } catch (error) {
    throw networkError(shown, error);
  }
}
