import { STATUS_CODES } from 'node:http';
import request from 'undici-real/lib/api/api-request.js';
import Agent from 'undici-real/lib/dispatcher/agent.js';
import { shownUrl } from '../../console/shown-url.ts';
import { certificateAuthorities } from './certificate-authorities.ts';
import { networkError } from './network-error.ts';
import type { SourceOptions } from './source.ts';

/** How long a server may take to accept a connection, or stay silent, in ms. There is no limit on the whole. */
const SILENCE = 30_000;

/** The answer to one request. */
export interface Exchange {
  readonly status: number;
  /** The words behind the status, or the usual ones. */
  readonly reason: string;
  /** The value of a header, by its lower-case name; of several, the first. */
  header(name: string): string | undefined;
  /** Each chunk is only valid until the next is asked for. Throws RdpullError of the network family. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Gives up the connection, whether or not the body was read. */
  close(): void;
}

/**
 * Sends one GET request on a connection of its own, and waits for the head of the answer. The only file that knows
 * the HTTP client.
 *
 * @throws RdpullError of the network family; the reason of `signal` when it was aborted
 */
export async function exchange(
  url: URL,
  headers: Readonly<Record<string, string>>,
  { ca, signal, silence = SILENCE }: Pick<SourceOptions, 'ca' | 'signal' | 'silence'>,
): Promise<Exchange> {
  const shown = shownUrl(url.href);
  const agent = new Agent({
    connect: {
      timeout: silence,
      // Said outright: NODE_TLS_REJECT_UNAUTHORIZED in the environment would turn the check off.
      rejectUnauthorized: true,
      ...(url.protocol === 'https:' && { ca: certificateAuthorities(ca) }),
    },
    headersTimeout: silence,
    bodyTimeout: silence,
  });
  const close = () => void agent.destroy().catch(() => undefined);
  try {
    const answer = await request.call(agent, {
      origin: url.origin,
      path: url.pathname + url.search,
      method: 'GET',
      signal,
      headers,
    });
    answer.body.on('error', () => undefined);
    return {
      status: answer.statusCode,
      reason: answer.statusText || (STATUS_CODES[answer.statusCode] ?? ''),
      header(name) {
        const value = answer.headers[name];
        return Array.isArray(value) ? value[0] : value;
      },
      body: withNamedErrors(answer.body, shown),
      close,
    };
  } catch (error) {
    close();
    signal.throwIfAborted();
    throw networkError(shown, error);
  }
}

async function* withNamedErrors(body: AsyncIterable<Uint8Array>, shown: string): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } catch (error) {
    throw networkError(shown, error);
  }
}
