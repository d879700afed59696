import { printable } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { shownUrl } from '../console/shown-url.ts';
import { CODING_START_BYTES, foreignCodings, requireUncoded } from './content-coding.ts';
import { parseContentRange } from './content-range.ts';
import { type Exchange, exchange } from './exchange.ts';
import { HttpStatusError } from './http-status.ts';
import { keepBytes } from './kept-bytes.ts';
import { isOthersFailure, isPassing } from './passing.ts';
import { peek } from './peek.ts';
import { proxyFor } from './proxy.ts';
import { requestHeaders } from './request-headers.ts';
import { retryAfter } from './retry-after.ts';
import type { ByteRange, RangeRequest, Source, SourceOptions } from './source.ts';
import { opaqueTag, strongEntityTag, strongValidator } from './validator.ts';

/** Redirects that are followed when nothing else was asked for. */
const MAX_REDIRECTS = 10;

/**
 * Asks for a file over HTTP or HTTPS, or for a part of it. Redirects are followed, a few, and never from https to http:
 * a network that can answer for the second server could then replace what the first one vouched for.
 *
 * @throws RdpullError of the network or http family
 */
export async function openHttpSource(
  start: string,
  options: SourceOptions,
  wanted?: RangeRequest,
): Promise<Source> {
  const most = options.redirects ?? MAX_REDIRECTS;
  const first = parseUrl(start);
  let url = first;
  for (let redirects = 0; redirects <= most; redirects++) {
    const answer = await ask(url, first, options, wanted);
    if (answer.kind === 'source') return answer.source;
    url = redirectTarget(url, utf8(answer.location));
  }
  throw new RdpullError(
    'http-redirect',
    `${shownUrl(start)}: more than ${most} redirects, the last one to ${shownUrl(url.href)}`,
    'check the redirect rules of the server: they may go in a circle',
  );
}

/** 203 is 200 from a proxy that may have changed the body (RFC 9110, section 15.3.4), as any on the way may. */
const WHOLE: ReadonlySet<number> = new Set([200, 203]);

/** What is read of an answer for the sake of its connection, in bytes, and for how long, in ms. */
const DISCARDED_MAX = 64 * 1024;
const DISCARD_TIME = 500;

type Answer = { kind: 'source'; source: Source } | { kind: 'redirect'; location: string };

/** @param start where the redirects had begun */
async function ask(
  url: URL,
  start: URL,
  options: SourceOptions,
  wanted: RangeRequest | undefined,
): Promise<Answer> {
  const shown = shownUrl(url.href);
  const answer = await exchange(url, { ...requestHeaders(url, options), ...rangeHeaders(wanted) }, options);
  const { status, reason, header, headers, contentLength, close } = answer;
  const { heard, proxy, zone } = options;
  if (heard !== undefined && url.origin === start.origin && (proxy === undefined || !proxyFor(url, proxy)))
    heard({ url, header, zone });
  try {
    const location = header('location');
    if (status >= 300 && status < 400 && location !== undefined) {
      await discard(answer);
      return { kind: 'redirect', location };
    }
    const part =
      wanted !== undefined && status === 206 ? sentPart(shown, wanted, header, contentLength) : undefined;
    if (!WHOLE.has(status) && part === undefined) {
      const error = new HttpStatusError(shown, {
        status,
        reason,
        origin: url.origin,
        retryAfter: retryAfter(header),
        size: parseContentRange(header('content-range'))?.size,
        challenges: headers('www-authenticate'),
        said: options.keepsRefusal === true ? await beginning(answer) : '',
      });
      // Where another attempt may help, it is made on another connection, perhaps to another machine of that name.
      if (!isPassing(error) && options.keepsRefusal !== true) await discard(answer);
      throw error;
    }
    const codings = foreignCodings(header('content-encoding'), [start.pathname, url.pathname]);
    const uncoded = await bodyAsServed(shown, answer, codings, options, part);
    const source: Source = {
      url: url.href,
      size: part === undefined ? contentLength : part.size,
      lastModified: date(header('last-modified')),
      validator: strongValidator(header),
      entityTag: strongEntityTag(header('etag')),
      opaqueTag: opaqueTag(header('etag')),
      codings,
      acceptsRanges: part !== undefined || header('accept-ranges')?.toLowerCase() === 'bytes',
      range: part?.range,
      body: uncoded,
      close,
    };
    return { kind: 'source', source };
  } catch (error) {
    close();
    throw error;
  }
}

/**
 * The body, whose bytes as served are those of the file: a digest that is promised will tell, and else it has to be that the server
 * has not compressed it on the way.
 *
 * @throws RdpullError http-protocol
 */
async function bodyAsServed(
  shown: string,
  { body }: Exchange,
  codings: readonly string[],
  { isPromised, headOnly }: SourceOptions,
  part: { readonly range: ByteRange } | undefined,
): Promise<AsyncIterable<Uint8Array>> {
  if (codings.length === 0 || isPromised === true || headOnly === true) return body;
  // In the middle of a file nothing tells it, and its start has been looked at.
  if (part !== undefined && part.range.from > 0) return body;
  const peeked = await peek(body, CODING_START_BYTES);
  requireUncoded(shown, codings, peeked.start);
  return peeked.body;
}

/**
 * Reads the rest of an answer that nobody needs, so that its connection can be used again; not if that would take longer than
 * a new one.
 */
async function discard(answer: Exchange): Promise<void> {
  if ((answer.contentLength ?? 0) > DISCARDED_MAX) answer.close();
  else await beginning(answer);
}

/** What the body of an answer begins with, as far as it comes in a moment. */
async function beginning({ body, close }: Exchange): Promise<string> {
  const limit = setTimeout(close, DISCARD_TIME);
  const kept = keepBytes(DISCARDED_MAX);
  try {
    for await (const chunk of body) {
      if (!kept.add(chunk)) break;
    }
  } catch (error) {
    // It was lost, or took too long: a new one it is.
    if (!isOthersFailure(error)) throw error;
  } finally {
    clearTimeout(limit);
    close();
  }
  return Buffer.from(kept.bytes()).toString();
}

/**
 * The part of the file that an answer 206 holds. It has to begin where it was asked for, and must not go beyond; it may
 * end earlier (RFC 9110, section 15.3.7).
 */
function sentPart(
  shown: string,
  { from, to = Number.POSITIVE_INFINITY }: RangeRequest,
  header: (name: string) => string | undefined,
  length: number | undefined,
): { readonly range: ByteRange; readonly size: number | undefined } {
  const said = header('content-range');
  const { range, size } = parseContentRange(said) ?? {};
  if (range?.from === from && range.to <= to && (length === undefined || length === range.to - from + 1)) {
    return { range, size };
  }
  throw new RdpullError(
    'http-range',
    `${shown}: asked for the bytes from ${from} on, the server answers 206 with ${
      said === undefined
        ? `no Content-Range (${printable(header('content-type') ?? 'no type')})`
        : `Content-Range: ${printable(said)}`
    }${length === undefined ? '' : `, Content-Length: ${length}`}`,
    'the server, or a proxy before it, does not send parts of files rightly: check its configuration',
  );
}

function rangeHeaders(wanted: RangeRequest | undefined): Record<string, string> {
  if (wanted === undefined) return {};
  return {
    range: `bytes=${wanted.from}-${wanted.to ?? ''}`,
    ...(wanted.validator !== undefined && { 'if-range': wanted.validator }),
  };
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

/** Of a header, which is read as ISO 8859-1: what browsers read when a server has not escaped it. */
function utf8(value: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(value, 'latin1'));
  } catch {
    return value;
  }
}

function parseUrl(text: string): URL {
  if (URL.canParse(text)) return new URL(text);
  throw new RdpullError(
    'bad-url',
    `${shownUrl(text)} is not a URL`,
    'write it as http://HOST/FILE or https://HOST/FILE',
  );
}

function date(header: string | undefined): Date | undefined {
  const time = header === undefined ? Number.NaN : Date.parse(header);
  return Number.isNaN(time) ? undefined : new Date(time);
}
