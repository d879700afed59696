import type { X509Certificate } from 'node:crypto';
import { printable } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { howToSetTheClock, iso } from '../console/wrong-clock.ts';
import type { Weakness } from './certificate-strength.ts';

const UNKNOWN_CA = 'its certificate comes from a CA that is not trusted here';
const NO_AUTHORITY = 'its certificate was issued by one that is not a CA';
const OTHER_USE = 'its certificate may not be used for this';
const NAME_CONSTRAINTS = 'its CA may not issue certificates for this name (name constraints)';
const MALFORMED = 'its certificate is malformed';

/**
 * What codes of OpenSSL (X509_V_ERR_*), of Node and of the handshake (SSL_R_*) mean for whom the certificate is. Those
 * that are missing here are refusals nevertheless, and told in the words of the TLS library.
 */
const REASONS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another host name',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_CA,
  UNABLE_TO_GET_ISSUER_CERT: UNKNOWN_CA,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_CA,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_CA,
  CERT_SIGNATURE_FAILURE: 'the signature of its certificate is bad',
  CERT_REVOKED: 'its certificate was revoked',
  CERT_REJECTED: OTHER_USE,
  CERT_UNTRUSTED: 'its certificate is not trusted',
  INVALID_CA: NO_AUTHORITY,
  INVALID_PURPOSE: OTHER_USE,
  PATH_LENGTH_EXCEEDED: NO_AUTHORITY,
  // Said by the handshake itself, which looks at the keyUsage of the server's own certificate.
  ERR_SSL_KEY_USAGE_BIT_INCORRECT: OTHER_USE,
  ERR_SSL_CERTIFICATE_VERIFY_FAILED: 'its certificate is not trusted',
  ERR_SSL_UNKNOWN_CERTIFICATE_TYPE: MALFORMED,
  ERR_SSL_WRONG_CERTIFICATE_TYPE: OTHER_USE,
  ERR_SSL_CANNOT_PARSE_LEAF_CERT: MALFORMED,
  ERR_SSL_BAD_ECC_CERT: MALFORMED,
  ERR_SSL_ECC_CERT_NOT_FOR_SIGNING: OTHER_USE,
};

/** X509_verify_cert_error_string(3) of what the runtime knows by no name, and calls UNSPECIFIED. */
const REASONS_BY_TEXT: Readonly<Record<string, string>> = {
  'permitted subtree violation': NAME_CONSTRAINTS,
  'excluded subtree violation': NAME_CONSTRAINTS,
  'unhandled critical extension': 'its certificate demands what nobody here knows (a critical extension)',
  'no explicit policy': 'its CA demands a policy that the certificate does not name',
};

/** What this machine says of the time. */
export interface Clock {
  readonly now: Date;
  /** When the executable was made: a clock before that is wrong. */
  readonly built: Date | undefined;
}

/** A certificate that the TLS library did not accept: its code, and its words. */
export interface Refusal {
  readonly code: string;
  readonly text: string;
}

/** Whether an error of the handshake is about the certificate of the server, and not about TLS. */
export function isAboutCertificate(code: string): boolean {
  return code.startsWith('ERR_SSL_') && Object.hasOwn(REASONS, code);
}

/**
 * Why the certificate of a server was not accepted, for a person: with the dates of the certificate and of this
 * machine where they are what is wrong.
 *
 * @param shown the URL as it may be printed
 * @param certificates what the server showed, its own first; empty when that is not known
 */
export function certificateRefusal(
  shown: string,
  { code, text }: Refusal,
  certificates: readonly X509Certificate[],
  clock: Clock,
): RdpullError {
  const { detail, hint } = explain(code, certificates, clock);
  const reason =
    REASONS[code] ?? REASONS_BY_TEXT[text] ?? `the TLS library refuses its certificate (${printable(text)})`;
  return untrusted(shown, `${reason}${detail}`, hint);
}

/** Why a certificate is not accepted that the TLS library would accept. */
export function weaknessRefusal(
  shown: string,
  { certificate, what }: Weakness,
  own: X509Certificate,
): RdpullError {
  const which = certificate === own ? 'its certificate' : `the certificate ${nameOf(certificate.subject)}`;
  return untrusted(
    shown,
    `${which} has ${what}, which can be forged`,
    'give the server certificates with RSA keys of at least 2048 bits, or of elliptic curves, and signatures with SHA-256',
  );
}

function untrusted(shown: string, reason: string, hint: string): RdpullError {
  return new RdpullError('tls-untrusted', `${shown}: the server cannot be trusted: ${reason}`, hint);
}

function explain(
  code: string,
  certificates: readonly X509Certificate[],
  clock: Clock,
): { readonly detail: string; readonly hint: string } {
  const [own] = certificates;
  if (code === 'CERT_NOT_YET_VALID' || code === 'CERT_HAS_EXPIRED') {
    return { detail: validity(certificates, clock), hint: dateHint(code, clock) };
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return {
      detail: own === undefined ? '' : `: ${printable(own.subjectAltName ?? 'it names none')}`,
      hint: 'use a name in the URL that the certificate is for, or give the server one for this name',
    };
  }
  const detail = own === undefined ? '' : ` (${nameOf(own.issuer)})`;
  if (REASONS[code] === UNKNOWN_CA || code === 'DEPTH_ZERO_SELF_SIGNED_CERT') {
    return {
      detail,
      hint: `pass the certificate of its CA with --ca=FILE, and check the clock of this machine: it is ${iso(clock.now)}`,
    };
  }
  return {
    detail,
    hint: 'give the server another certificate; openssl verify -CAfile CA -untrusted INTERMEDIATES CERTIFICATE says what is wrong with this one',
  };
}

function validity(certificates: readonly X509Certificate[], { now }: Clock): string {
  const at = certificates.findIndex((certificate) => !isValidAt(certificate, now));
  const culprit = certificates[at];
  if (culprit === undefined) return `, by the clock of this machine, which says ${iso(now)}`;
  const which = at === 0 ? 'it' : `the one of its CA (${nameOf(culprit.subject)})`;
  return `: ${which} is valid from ${iso(culprit.validFromDate)} to ${iso(culprit.validToDate)}, and the clock of this machine says ${iso(now)}`;
}

/** Whether the dates in a certificate allow to use it at a time. */
export function isValidAt({ validFromDate, validToDate }: X509Certificate, time: Date): boolean {
  return validFromDate <= time && time <= validToDate;
}

function dateHint(code: string, { now, built }: Clock): string {
  if (built !== undefined && now < built) {
    return `that clock is wrong, it is before this rdpull was made: ${howToSetTheClock(built)}`;
  }
  return code === 'CERT_HAS_EXPIRED'
    ? 'if that clock is right, renew the certificate on the server; else set the clock, with date --set=TIME'
    : 'set the clock of this machine, with date --set=TIME; if it is right, the certificate is for later';
}

/** A distinguished name in one line. */
function nameOf(name: string): string {
  return printable(name.replaceAll('\n', ', '));
}
