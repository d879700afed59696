import { isSystemError } from '../../kernel/system-error.ts';

/**
 * What can be wrong with an exchange over HTTP/1.1, as the code of an {@link HttpFault}:
 *
 * - `RDPULL_NOT_HTTP`: what came breaks the rules of RFC 9112; the message says which one
 * - `RDPULL_LONG_HEAD`: the head of the answer is longer than is read
 * - `RDPULL_CLOSED`: the connection ended before the answer did
 * - `RDPULL_SILENT_HEAD`, `RDPULL_SILENT_BODY`: nothing came for too long, before or in the body
 */
export type HttpFaultCode =
  | 'RDPULL_NOT_HTTP'
  | 'RDPULL_LONG_HEAD'
  | 'RDPULL_CLOSED'
  | 'RDPULL_SILENT_HEAD'
  | 'RDPULL_SILENT_BODY';

/** An exchange that failed, before anybody has said what that means for the user. */
export class HttpFault extends Error {
  override readonly name = 'HttpFault';
  readonly code: HttpFaultCode;

  constructor(code: HttpFaultCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** What came is no HTTP/1.1. `why` is the end of a sentence, and fit for a terminal. */
export function notHttp(why: string): HttpFault {
  return new HttpFault('RDPULL_NOT_HTTP', why);
}

/** What the failures of undici mean for an exchange; anything else is itself. */
export function faultOf(error: unknown, inBody: boolean): unknown {
  if (isSystemError(error, 'UND_ERR_HEADERS_OVERFLOW')) {
    return inBody
      ? notHttp('the trailers are longer than 16384 bytes')
      : new HttpFault('RDPULL_LONG_HEAD', 'the head is longer than 16384 bytes');
  }
  if (isSystemError(error, 'UND_ERR_SOCKET', 'UND_ERR_INFO', 'UND_ERR_DESTROYED')) {
    return new HttpFault('RDPULL_CLOSED', error.message);
  }
  return error;
}
