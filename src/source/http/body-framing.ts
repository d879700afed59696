import { printable, quoted } from '../../console/printable.ts';
import { notHttp } from './http-fault.ts';
import type { FieldValues } from './response-head.ts';

/**
 * Refuses a body that could be read in two ways: where RFC 9112, section 6.3, lets a recipient choose, a proxy before this
 * one may have chosen the other. What undici reads in one way only, it refuses or takes itself.
 *
 * @param readsToEnd llhttp takes the end of the connection for that of the body: so it does where a tab follows `chunked`, which is
 *   no part of the value (RFC 9110, section 5.5)
 * @throws HttpFault RDPULL_NOT_HTTP
 */
export function requireOneFraming(version: string, values: FieldValues, readsToEnd: boolean): void {
  const codings = values('transfer-encoding');
  contentLength(values);
  if (codings.length === 0) return;
  if (version === '1.0') throw notHttp('it has a Transfer-Encoding, and is of version 1.0');
  const coding = codings.join(', ');
  if (coding.toLowerCase() !== 'chunked') throw notHttp(`its Transfer-Encoding is ${printable(coding)}`);
  if (readsToEnd) throw notHttp('a tab follows its Transfer-Encoding, chunked');
}

/**
 * What an answer says that its body is long, or would be for a GET, in bytes.
 *
 * @throws HttpFault RDPULL_NOT_HTTP
 */
export function contentLength(values: FieldValues): number | undefined {
  const [length, ...others] = new Set(values('content-length'));
  if (length === undefined) return undefined;
  if (others.length > 0)
    throw notHttp(`its Content-Length is ${printable([length, ...others].join(' and '))}`);
  // Beyond 2^53 bytes a number is not exact, and nothing is as long.
  if (!/^\d{1,15}$/.test(length)) throw notHttp(`its Content-Length is ${quoted(length)}`);
  return Number(length);
}
