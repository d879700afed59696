import type { X509Certificate } from 'node:crypto';
import { printable } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';

/** The codes of OpenSSL (X509_V_ERR_*) and of Node for a certificate that is not accepted. */
const REASONS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another host name',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate comes from a CA that is not trusted here',
  UNABLE_TO_GET_ISSUER_CERT: 'its certificate comes from a CA that is not trusted here',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate comes from a CA that is not trusted here',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate comes from a CA that is not trusted here',
  CERT_SIGNATURE_FAILURE: 'the signature of its certificate is bad',
  CERT_REVOKED: 'its certificate was revoked',
  CERT_REJECTED: 'its certificate may not be used for this',
  CERT_UNTRUSTED: 'its certificate is not trusted',
  INVALID_CA: 'its certificate was issued by one that is not a CA',
  INVALID_PURPOSE: 'its certificate may not be used for this',
  PATH_LENGTH_EXCEEDED: 'its certificate was issued by one that is not a CA',
};

/** What this machine says of the time. */
export interface Clock {
  readonly now: Date;
  /** When the executable was made: a clock before that is wrong. */
  readonly built: Date | undefined;
}

/** The code of an error that says that the certificate of a server was not accepted; undefined for any other error. */
export function refusalCode(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return Object.hasOwn(REASONS, code) ? code : undefined;
}

/**
 * Why the certificate of a server was not accepted, for a person: with the dates of the certificate and of this
 * machine where they are what is wrong.
 *
 * @param shown the URL as it may be printed
 * @param code of {@link refusalCode}
 * @param certificates what the server showed, its own first; empty when that is not known
 */
export function certificateRefusal(
  shown: string,
  code: string,
  certificates: readonly X509Certificate[],
  clock: Clock,
): RdpullError {
  const { detail, hint } = explain(code, certificates, clock);
  const reason = REASONS[code] ?? code;
  return new RdpullError('tls-untrusted', `${shown}: the server cannot be trusted: ${reason}${detail}`, hint);
}

function explain(
  code: string,
  certificates: readonly X509Certificate[],
  clock: Clock,
): { readonly detail: string; readonly hint: string } {
  const [own] = certificates;
  if (code === 'CERT_NOT_YET_VALID' || code === 'CERT_HAS_EXPIRED') {
    return { detail: validity(certificates, clock), hint: clockHint(code, clock) };
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return {
      detail: own === undefined ? '' : `: ${printable(own.subjectAltName ?? 'it names none')}`,
      hint: 'use a name in the URL that the certificate is for, or give the server one for this name',
    };
  }
  return {
    detail: own === undefined ? '' : ` (${nameOf(own.issuer)})`,
    hint: `pass the certificate of its CA with --ca=FILE, and check the clock of this machine: it is ${iso(clock.now)}`,
  };
}

function validity(certificates: readonly X509Certificate[], { now }: Clock): string {
  const at = certificates.findIndex(
    ({ validFromDate, validToDate }) => now < validFromDate || validToDate < now,
  );
  const culprit = certificates[at];
  if (culprit === undefined) return `, by the clock of this machine, which says ${iso(now)}`;
  const which = at === 0 ? 'it' : `the one of its CA (${nameOf(culprit.subject)})`;
  return `: ${which} is valid from ${iso(culprit.validFromDate)} to ${iso(culprit.validToDate)}, and the clock of this machine says ${iso(now)}`;
}

function clockHint(code: string, { now, built }: Clock): string {
  if (built !== undefined && now < built) {
    return `set the clock of this machine, with date --set=TIME: it is before ${iso(built)}, when this rdpull was made`;
  }
  return code === 'CERT_HAS_EXPIRED'
    ? 'if that clock is right, renew the certificate on the server; else set the clock, with date --set=TIME'
    : 'set the clock of this machine, with date --set=TIME; if it is right, the certificate is for later';
}

/** A distinguished name in one line. */
function nameOf(name: string): string {
  return printable(name.replaceAll('\n', ', '));
}

/** A time to the second, as ISO 8601. */
export function iso(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, 'Z');
}
