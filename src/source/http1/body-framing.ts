import { printable, quoted } from '../../console/printable.ts';
import { notHttp } from './http-fault.ts';
import type { ResponseHead } from './response-head.ts';

/** Where the body of an answer ends: after so many bytes, with its last chunk, or with the connection. */
export type BodyFraming =
  | { readonly kind: 'length'; readonly bytes: number }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'until-close' };

/**
 * How the body of an answer is framed (RFC 9112, section 6.3). Where the section lets a recipient choose, what could be
 * read in two ways is refused: a proxy before this may have read it in the other.
 *
 * @throws HttpFault RDPULL_NOT_HTTP
 */
export function bodyFraming(method: 'GET' | 'HEAD', head: ResponseHead): BodyFraming {
  const codings = head.values('transfer-encoding');
  const lengths = head.values('content-length');
  const length = contentLength(head);
  if (codings.length > 0) {
    if (lengths.length > 0) throw notHttp('it has both a Content-Length and a Transfer-Encoding');
    if (head.minorVersion === 0) throw notHttp('it has a Transfer-Encoding, and is of version 1.0');
    const coding = codings.join(', ');
    if (coding.toLowerCase() !== 'chunked') throw notHttp(`its Transfer-Encoding is ${printable(coding)}`);
  }
  if (method === 'HEAD' || head.status === 204 || head.status === 304) return { kind: 'length', bytes: 0 };
  if (codings.length > 0) return { kind: 'chunked' };
  return length === undefined ? { kind: 'until-close' } : { kind: 'length', bytes: length };
}

/**
 * What an answer says that its body is long, or would be for a GET, in bytes: one number, though it may be said several
 * times (RFC 9112, section 6.3, rule 5).
 *
 * @throws HttpFault RDPULL_NOT_HTTP
 */
export function contentLength(head: ResponseHead): number | undefined {
  const said = new Set(head.values('content-length').flatMap((value) => value.split(/[\t ]*,[\t ]*/)));
  const [length] = said;
  if (length === undefined) return undefined;
  if (said.size > 1) throw notHttp(`its Content-Length is ${printable([...said].join(' and '))}`);
  // Beyond 2^53 bytes a number is not exact, and nothing is as long.
  if (!/^\d{1,15}$/.test(length)) throw notHttp(`its Content-Length is ${quoted(length)}`);
  return Number(length);
}
