import type { ErrorCode, RdpullError } from '../console/rdpull-error.ts';
import { isSystemError } from '../kernel/system-error.ts';
import { HttpStatusError } from './http-status.ts';

/** What may be otherwise in a moment: a network is often not ready when systemd says so. */
const PASSING: ReadonlySet<ErrorCode> = new Set([
  'host-unknown',
  'connection-refused',
  'host-unreachable',
  'connection-timeout',
  'connection-lost',
  'transfer-stalled',
  'tls-failed',
  'http-length',
]);

/** RFC 9110, section 15: a slow request, too many of them, and what a server or a proxy has trouble with. */
const PASSING_STATUSES: ReadonlySet<number> = new Set([408, 429, 500, 501, 502, 503, 504]);

/** Whether a failure is worth another attempt. */
export function isPassing(error: RdpullError): boolean {
  if (error instanceof HttpStatusError) return PASSING_STATUSES.has(error.status);
  // Who speaks http where https was asked for will go on doing so.
  return PASSING.has(error.code) && !isSystemError(error.cause, 'ERR_SSL_WRONG_VERSION_NUMBER');
}
