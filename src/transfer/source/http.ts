import { STATUS_CODES } from 'node:http';
import request from 'undici-real/lib/api/api-request.js';
import Agent from 'undici-real/lib/dispatcher/agent.js';
import { RdpullError } from '../../console/rdpull-error.ts';
import { shownUrl } from '../../console/shown-url.ts';
import { version } from '../../version.ts';
import { certificateAuthorities } from './certificate-authorities.ts';
import { httpStatusError } from './http-status.ts';
import type { Login } from './login.ts';
import { networkError } from './network-error.ts';
import type { Source, SourceOptions } from './source.ts';

/** How long a server may take to accept a connection, in ms. */
const CONNECT_TIMEOUT = 30_000;
/** How long it may stay silent, in ms. There is no limit on the whole. */
const SILENCE_TIMEOUT = 60_000;
const MAX_REDIRECTS = 10;

/**
 * Asks for a file over HTTP or HTTPS. Redirects are followed, a few, and never from https to http: a network that
 * can answer for the second server could then replace what the first one vouched for.
 *
 * @throws RdpullError of the network or http family
 */
export async function openHttpSource(start: string, options: SourceOptions): Promise<Source> {
  let url = parseUrl(start);
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    const answer = await ask(url, options);
    if (answer.kind === 'source') return answer.source;
    url = redirectTarget(url, answer.location);
  }
  throw new RdpullError(
    'http-redirect',
    `${shownUrl(start)}: more than ${MAX_REDIRECTS} redirects, the last one to ${shownUrl(url.href)}`,
    'check the redirect rules of the server: they may go in a circle',
  );
}

type Answer = { kind: 'source'; source: Source } | { kind: 'redirect'; location: string };

async function ask(url: URL, { ca, login, signal }: SourceOptions): Promise<Answer> {
  const shown = shownUrl(url.href);
  const agent = new Agent({
    connect: {
      timeout: CONNECT_TIMEOUT,
      // Said outright: NODE_TLS_REJECT_UNAUTHORIZED in the environment would turn the check off.
      rejectUnauthorized: true,
      ...(url.protocol === 'https:' && { ca: certificateAuthorities(ca) }),
    },
    headersTimeout: SILENCE_TIMEOUT,
    bodyTimeout: SILENCE_TIMEOUT,
  });
  const close = () => void agent.destroy().catch(() => undefined);
  try {
    const { statusCode, statusText, headers, body } = await request.call(agent, {
      origin: url.origin,
      path: url.pathname + url.search,
      method: 'GET',
      signal,
      headers: requestHeaders(url, login),
    });
    body.on('error', () => undefined);
    const location = single(headers['location']);
    if (statusCode >= 300 && statusCode < 400 && location !== undefined) {
      close();
      return { kind: 'redirect', location };
    }
    if (statusCode !== 200)
      throw httpStatusError(shown, statusCode, statusText || (STATUS_CODES[statusCode] ?? ''));
    const source: Source = {
      url: url.href,
      size: contentLength(single(headers['content-length'])),
      lastModified: date(single(headers['last-modified'])),
      body: withNamedErrors(body, shown),
      close,
    };
    return { kind: 'source', source };
  } catch (error) {
    close();
    signal.throwIfAborted();
    throw networkError(shown, error);
  }
}

function requestHeaders(url: URL, login: Login | undefined): Record<string, string> {
  return {
    'user-agent': `rdpull/${version}`,
    // The digest is over the bytes of the file: no coding may be put around them.
    'accept-encoding': 'identity',
    // A login is for the server it was given for, and for no other.
    ...(login?.origin === url.origin && { authorization: login.authorization }),
  };
}

async function* withNamedErrors(body: AsyncIterable<Uint8Array>, shown: string): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } catch (error) {
    throw networkError(shown, error);
  }
}

function redirectTarget(from: URL, location: string): URL {
  const shown = shownUrl(from.href);
  const to = URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  if (to === undefined || (to.protocol !== 'http:' && to.protocol !== 'https:')) {
    throw new RdpullError(
      'http-redirect',
      `${shown}: the server redirects to ${shownUrl(location)}, which is not an http or https URL`,
      'check the redirect rules of the server',
    );
  }
  to.username = '';
  to.password = '';
  if (from.protocol === 'https:' && to.protocol === 'http:') {
    throw new RdpullError(
      'http-redirect',
      `${shown}: the server redirects to ${shownUrl(to.href)}, from https to plain http, which anybody on the way could answer`,
      'let the server redirect to an https URL, or ask for the http URL itself',
    );
  }
  return to;
}

function parseUrl(text: string): URL {
  if (URL.canParse(text)) return new URL(text);
  throw new RdpullError(
    'bad-url',
    `${shownUrl(text)} is not a URL`,
    'write it as http://HOST/FILE or https://HOST/FILE',
  );
}

function single(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}

function contentLength(header: string | undefined): number | undefined {
  return header !== undefined && /^\d{1,15}$/.test(header) ? Number(header) : undefined;
}

function date(header: string | undefined): Date | undefined {
  const time = header === undefined ? Number.NaN : Date.parse(header);
  return Number.isNaN(time) ? undefined : new Date(time);
}
