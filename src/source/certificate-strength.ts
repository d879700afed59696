import type { X509Certificate } from 'node:crypto';

/**
 * What security level 2 of OpenSSL, the default of Debian, asks for (SSL_CTX_set_security_level(3)): 112 bits of security.
 * The TLS library of the runtime knows no such levels. What it verifies at all besides RSA is long enough.
 */
const RSA_BITS_MIN = 2048;
/** The names of signature algorithms whose digests can be made to collide: `sha1WithRSAEncryption`, `ecdsa-with-SHA1`. */
const WEAK_SIGNATURE = /^(?:md\d|sha1?)with|sha1$/i;

/** A certificate that protects against nobody, and what is weak about it, as the end of "it has ...". */
export interface Weakness {
  readonly certificate: X509Certificate;
  readonly what: string;
}

/** What is weak about the key of a certificate; undefined when nothing is. */
export function weakKey({ publicKey }: X509Certificate): string | undefined {
  const bits = publicKey.asymmetricKeyDetails?.modulusLength;
  return bits !== undefined && bits < RSA_BITS_MIN ? `an RSA key of ${bits} bits` : undefined;
}

/** What is weak about the signature below a certificate; undefined when nothing is. That of a root protects nothing. */
export function weakSignature(certificate: X509Certificate): string | undefined {
  const { signatureAlgorithm: algorithm } = certificate;
  const counts = algorithm !== undefined && !isItsOwnIssuer(certificate);
  return counts && WEAK_SIGNATURE.test(algorithm) ? `a signature with ${algorithm}` : undefined;
}

/** By the same rules as the TLS library, for which such a certificate is the end of a path, and may be an anchor. */
export function isItsOwnIssuer(certificate: X509Certificate): boolean {
  return certificate.checkIssued(certificate);
}

/**
 * The weak certificate that the trust in a server rests on; undefined when there is none. The TLS library, which has found
 * a good path from it to an anchor, does not tell which. So whatever may be part of that path has to be strong.
 *
 * @param own the certificate of the server
 * @param others what it sent with it, and what the library added
 * @param anchors the certificates that are trusted; to read all of them takes 15 ms, so it is called only when it matters
 */
export function weaknessOf(
  own: X509Certificate,
  others: readonly X509Certificate[],
  anchors: () => readonly X509Certificate[],
): Weakness | undefined {
  const among = findWeakness(own, others, []);
  if (among === 'none') return undefined;
  const found = findWeakness(own, others, anchors());
  return typeof found === 'object' ? found : undefined;
}

/** `open` when nothing is weak, but the issuer of a certificate is not known. */
function findWeakness(
  own: X509Certificate,
  others: readonly X509Certificate[],
  anchors: readonly X509Certificate[],
): Weakness | 'none' | 'open' {
  let isOpen = false;
  const reached = new Set([own]);
  // What is added meanwhile is visited as well.
  for (const certificate of reached) {
    const isAnchor = anchors.some(({ raw }) => raw.equals(certificate.raw));
    const what = weakKey(certificate) ?? (isAnchor ? undefined : weakSignature(certificate));
    if (what !== undefined) return { certificate, what };
    if (isAnchor || isItsOwnIssuer(certificate)) continue;
    // The library, too, prefers an anchor to what was sent.
    const trusted = issuersOf(certificate, anchors);
    const issuers = trusted.length > 0 ? trusted : issuersOf(certificate, others);
    if (issuers.length === 0) isOpen = true;
    for (const issuer of issuers) reached.add(issuer);
  }
  return isOpen ? 'open' : 'none';
}

/** Those whose key has signed `certificate`, and which are called like its issuer. */
function issuersOf(certificate: X509Certificate, among: readonly X509Certificate[]): X509Certificate[] {
  return among.filter((issuer) => certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey));
}
