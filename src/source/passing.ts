import { type ErrorCode, RdpullError } from '../console/rdpull-error.ts';
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
  'http-length',
  'dhcp-lease-missing',
  'nvme-busy',
]);

/** RFC 9110, section 15: a slow request, too many of them, and what a server or a proxy has trouble with. */
const PASSING_STATUSES: ReadonlySet<number> = new Set([408, 429, 500, 501, 502, 503, 504]);

/**
 * A server that refuses to speak TLS will go on doing so, but for the trouble that it has itself (RFC 8446, section 6.2),
 * and for bytes that were changed on the way.
 */
const PASSING_IN_TLS = [
  'ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR',
  'ERR_SSL_SSLV3_ALERT_BAD_RECORD_MAC',
  'ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC',
];

/** What is the matter with this process, and with no server: nobody else has to be asked. */
const OWN: ReadonlySet<ErrorCode> = new Set(['internal', 'descriptors-exhausted']);

/** Whether something failed because of a server or the way to it, so that it may be done otherwise, or without. */
export function isOthersFailure(error: unknown): error is RdpullError {
  return error instanceof RdpullError && !OWN.has(error.code);
}

/** Whether a failure is worth another attempt. */
export function isPassing(error: RdpullError): boolean {
  if (error instanceof HttpStatusError) return PASSING_STATUSES.has(error.status);
  return PASSING.has(error.code) || isSystemError(error.cause, ...PASSING_IN_TLS);
}
