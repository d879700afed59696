import { printable } from '../console/printable.ts';
import { shownUrl } from '../console/shown-url.ts';
import { isSystemError } from '../kernel/system-error.ts';
import { connect } from './connection.ts';
import { bodyFraming, contentLength } from './http1/body-framing.ts';
import { HttpFault } from './http1/http-fault.ts';
import { requestHead } from './http1/request-head.ts';
import { responseBody } from './http1/response-body.ts';
import { createResponseHeadReader, type ResponseHead } from './http1/response-head.ts';
import { readSegments, type Segments } from './http1/segments.ts';
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
  /** The words behind the status, fit for a terminal; and the proxy that the answer came through. */
  readonly reason: string;
  /** The value of a header, by its lower-case name; of several, the first. */
  header(name: string): string | undefined;
  /** What the body is long, or would be for a GET, in bytes, as far as that is said. */
  readonly contentLength: number | undefined;
  /** Each chunk is only valid until the next is asked for. Throws RdpullError of the network family. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Gives up the connection, whether or not the body was read. */
  close(): void;
}

/**
 * Sends one GET or HEAD request on a connection of its own, and waits for the head of the answer.
 *
 * @throws RdpullError of the network family, http-protocol; the reason of `signal` when it was aborted
 */
export async function exchange(
  url: URL,
  headers: Readonly<Record<string, string>>,
  options: ExchangeOptions,
): Promise<Exchange> {
  const shown = shownUrl(url.href);
  const { silence = SILENCE, signal } = options;
  const { socket, proxy } = await connect(url, options, silence);
  const segments = readSegments(socket, silence, signal);
  try {
    const method = options.headOnly === true ? 'HEAD' : 'GET';
    const path = url.pathname + url.search;
    const request = requestHead(method, proxy === undefined ? path : url.origin + path, url.host, {
      ...headers,
      ...(proxy?.authorization !== undefined && { 'proxy-authorization': proxy.authorization }),
    });
    socket.write(request, 'latin1');
    const { head, rest } = await readHead(segments);
    const reason = printable(head.reason);
    if (proxy !== undefined && head.status === PROXY_AUTHENTICATION_REQUIRED) {
      const refusal = proxyRefusal(proxy, head.status, `${head.status} ${reason}`.trim(), url.host);
      throw proxyError(shown, proxy.shown, refusal);
    }
    const framing = bodyFraming(method, head);
    segments.inBody();
    return {
      status: head.status,
      // Whether it is the proxy or the server who says so cannot be told.
      reason: proxy === undefined ? reason : `${reason}, through the proxy ${proxy.shown}`,
      header: (name) => head.values(name)[0],
      contentLength: contentLength(head),
      body: responseBody(framing, rest, segments, (error) => networkError(shown, error)),
      close: segments.close,
    };
  } catch (error) {
    segments.close();
    signal.throwIfAborted();
    throw networkError(shown, url.protocol === 'https:' ? withoutAnswer(error) : error);
  }
}

async function readHead(
  segments: Segments,
): Promise<{ readonly head: ResponseHead; readonly rest: Uint8Array }> {
  const reader = createResponseHeadReader();
  while (await segments.arrival()) {
    const segment = segments.take();
    const found = segment === undefined ? undefined : reader.take(segment);
    if (found !== undefined) return found;
  }
  throw new HttpFault(
    'RDPULL_CLOSED',
    'the connection was closed before the head of the answer was complete',
  );
}

/** With TLS 1.3 a server only says that it misses a client certificate when the handshake is over, by hanging up. */
function withoutAnswer(error: unknown): unknown {
  const isClosed = isSystemError(error, 'RDPULL_CLOSED', 'ECONNRESET');
  return isClosed ? Object.assign(new Error(error.message), { code: 'RDPULL_NO_ANSWER' }) : error;
}
