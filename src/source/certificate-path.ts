import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { certificateExtensions } from './certificate-extensions.ts';

/** Certificates between a server's and an anchor, at most; real ones have one or two. */
const LONGEST = 6;

/** Bits of keyUsage (RFC 5280, section 4.2.1.3). */
const DIGITAL_SIGNATURE = 0;
const KEY_CERT_SIGN = 5;
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';

/** What may sign here: no SHA-1, no MD5. RFC 4055, RFC 5758, RFC 8410. */
const SIGNATURE_ALGORITHMS: ReadonlySet<string> = new Set([
  '1.2.840.113549.1.1.11', // sha256WithRSAEncryption
  '1.2.840.113549.1.1.12', // sha384WithRSAEncryption
  '1.2.840.113549.1.1.13', // sha512WithRSAEncryption
  '1.2.840.10045.4.3.2', // ecdsa-with-SHA256
  '1.2.840.10045.4.3.3', // ecdsa-with-SHA384
  '1.2.840.10045.4.3.4', // ecdsa-with-SHA512
  '1.3.101.112', // Ed25519
]);
const RSA_BITS = 2048;

/** What a server showed, and for whom. */
export interface ShownCertificates {
  /** The server's own first, then what it sent with it, in any order. */
  readonly certificates: readonly X509Certificate[];
  /** Name or IP address of the server, without brackets. */
  readonly host: string;
}

/**
 * Whether a server would have been trusted at another time. This is not how certificates are checked: the TLS library
 * does that. It is for the one question that the library cannot be asked, and answers no wherever it is in doubt: what
 * it accepts is less than RFC 5280 allows (no name constraints, no policies, no other critical extension, no RSA-PSS).
 *
 * @param anchors the certificates that are trusted
 * @param time when the certificates have to be valid
 */
export function wouldBeTrusted(
  { certificates, host }: ShownCertificates,
  anchors: readonly X509Certificate[],
  time: Date,
): boolean {
  const [own, ...others] = certificates;
  if (own === undefined || !isForHost(own, host)) return false;
  try {
    return mayServe(own) && isLinked(own, others, anchors, time);
  } catch {
    return false;
  }
}

/** Whether signatures lead from a certificate to an anchor. One path is tried: the first issuer that fits counts. */
function isLinked(
  own: X509Certificate,
  others: readonly X509Certificate[],
  anchors: readonly X509Certificate[],
  time: Date,
): boolean {
  if (!isSound(own, time)) return false;
  if (anchors.some((anchor) => anchor.raw.equals(own.raw))) return true;
  let certificate = own;
  for (let authorities = 0; authorities <= LONGEST; authorities++) {
    const issues = (issuer: X509Certificate) =>
      isSound(issuer, time) && mayIssue(issuer, authorities) && isIssuedBy(certificate, issuer);
    if (anchors.some(issues)) return true;
    const issuer = others.find(issues);
    if (issuer === undefined) return false;
    certificate = issuer;
  }
  return false;
}

/** Valid at that time, understood in full, and with a key that counts as safe. */
function isSound(certificate: X509Certificate, time: Date): boolean {
  return (
    certificate.validFromDate <= time &&
    time <= certificate.validToDate &&
    certificateExtensions(certificate.raw).notUnderstood.length === 0 &&
    hasSafeKey(certificate)
  );
}

function hasSafeKey({ publicKey }: X509Certificate): boolean {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = publicKey;
  if (type === 'rsa') return (details?.modulusLength ?? 0) >= RSA_BITS;
  return type === 'ec' || type === 'ed25519';
}

function mayIssue(issuer: X509Certificate, authorities: number): boolean {
  const { isAuthority, pathLength, keyUsage, purposes } = certificateExtensions(issuer.raw);
  return (
    isAuthority &&
    (pathLength === undefined || authorities <= pathLength) &&
    keyUsage?.has(KEY_CERT_SIGN) !== false &&
    purposes?.has(SERVER_AUTH) !== false
  );
}

function mayServe(certificate: X509Certificate): boolean {
  const { keyUsage, purposes } = certificateExtensions(certificate.raw);
  return keyUsage?.has(DIGITAL_SIGNATURE) !== false && purposes?.has(SERVER_AUTH) !== false;
}

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return (
    certificate.checkIssued(issuer) &&
    SIGNATURE_ALGORITHMS.has(certificateExtensions(certificate.raw).signatureAlgorithm) &&
    certificate.verify(issuer.publicKey)
  );
}

/** By its alternative names alone, as the TLS library does it (RFC 9525): never by the common name. */
function isForHost(certificate: X509Certificate, host: string): boolean {
  if (isIP(host) !== 0) return certificate.checkIP(host) !== undefined;
  return certificate.checkHost(host, { subject: 'never', partialWildcards: false }) !== undefined;
}

/** The certificates of PEM bundles; what the runtime cannot read is left out. */
export function certificatesOf(bundles: readonly string[]): X509Certificate[] {
  const pems = bundles.flatMap(
    (bundle) => bundle.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [],
  );
  return pems.flatMap((pem) => {
    try {
      return [new X509Certificate(pem)];
    } catch {
      return [];
    }
  });
}
