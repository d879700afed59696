import type { X509Certificate } from 'node:crypto';
import type * as Pki from 'pkijs';
import { printable } from '../../console/printable.ts';
import { RdpullError } from '../../console/rdpull-error.ts';
import { judgeSignatures, type Mismatch, type Verdict } from '../several-signatures.ts';
import { CLOCK_TOLERANCE, type SignedFile } from '../signed-file.ts';
import type { Signer } from '../signer.ts';
import { bytesOf } from './der.ts';
import { ID_DATA, readSignedData } from './signed-data.ts';
import type { TrustedCertificates } from './trusted-certificates.ts';

/** Digests strong enough, by their object identifiers (RFC 5754, section 2; NIST CSOR). */
const STRONG_DIGESTS = new Set([
  '2.16.840.1.101.3.4.2.1', // SHA-256
  '2.16.840.1.101.3.4.2.2', // SHA-384
  '2.16.840.1.101.3.4.2.3', // SHA-512
]);
/** RSASSA-PSS (RFC 4056), whose parameters name a digest of their own. */
const RSASSA_PSS = '1.2.840.113549.1.1.10';
/** Signature algorithms that are taken: RFC 3370, section 3.2, RFC 5754, section 3. */
const SIGNATURE_ALGORITHMS = new Set([
  '1.2.840.113549.1.1.1', // rsaEncryption, with the digest of the signer info
  '1.2.840.113549.1.1.11', // sha256WithRSAEncryption
  '1.2.840.113549.1.1.12',
  '1.2.840.113549.1.1.13',
  RSASSA_PSS,
  '1.2.840.10045.4.3.2', // ecdsa-with-SHA256
  '1.2.840.10045.4.3.3',
  '1.2.840.10045.4.3.4',
]);

/** Attributes (RFC 5652, section 11). */
const CONTENT_TYPE = '1.2.840.113549.1.9.3';
const MESSAGE_DIGEST = '1.2.840.113549.1.9.4';
const SIGNING_TIME = '1.2.840.113549.1.9.5';
/** RFC 5280, section 4.2.1.3: the extension, and its first bit. */
const KEY_USAGE = '2.5.29.15';
const DIGITAL_SIGNATURE = 0x80;

const MIN_RSA_BITS = 2048;
const CURVES: readonly (string | undefined)[] = ['prime256v1', 'secp384r1', 'secp521r1'];

const SIGN_HINT =
  'sign it with: openssl cms -sign -binary -md sha256 -in FILE -signer CERTIFICATE -inkey KEY -outform DER -out FILE.p7s';

/** Under what circumstances a signature is judged. */
interface Judging {
  /** The signature, for messages. */
  readonly made: string;
  readonly now: Date;
}

/**
 * Verifies the detached CMS signature (PKCS#7) of a file: one of the signatures in it has to be good, which means that
 *
 * 1. its digest cannot be forged,
 * 2. the key of one of the trusted certificates made it; certificates that come with the signature count for nothing,
 * 3. over exactly these bytes,
 * 4. it is not dated in the future,
 * 5. and the certificate is valid now, may sign, and holds a key that is long enough;
 *
 * and none of them may be by a trusted certificate, but over other bytes.
 *
 * The mathematics and the structure of the message are pkijs'; systemd, which has OpenSSL do them, asks for 2 and 3 only.
 *
 * @param now the time to judge by; the clock of an initrd may be wrong, so the messages tell it
 * @throws RdpullError signature-malformed, signature-weak, signature-unknown-key, signature-bad, signature-key-expired
 */
export async function verifyCmsSignature(
  file: SignedFile,
  trusted: TrustedCertificates,
  now = new Date(),
): Promise<Signer> {
  const signedData = await readSignedData(file.signature, file.signatureUrl);
  const judging: Judging = { made: `the signature ${file.signatureUrl}`, now };
  return await judgeSignatures(signedData.signerInfos.keys(), file.signatureUrl, (index) =>
    verifyOne(signedData, index, file, trusted, judging),
  );
}

async function verifyOne(
  signedData: Pki.SignedData,
  index: number,
  file: SignedFile,
  trusted: TrustedCertificates,
  judging: Judging,
): Promise<Verdict> {
  const info = signedData.signerInfos[index];
  if (info === undefined) throw new Error(`${file.signatureUrl} has no signer ${index}`);
  requireAnnounced(signedData, info, judging);
  await requireStrongAlgorithms(info, judging);
  const madeAt = readAttributes(info, judging);
  const found = await findMatch(signedData, index, file, trusted, judging);
  if (found.kind === 'mismatch') return found;
  const { certificate } = found;
  const subject = subjectOf(certificate);
  requireTimely(certificate, subject, madeAt, judging);
  await requireUsable(certificate, subject, judging);
  const signer: Signer = {
    by: 'x509',
    fingerprint: certificate.fingerprint256.replaceAll(':', ''),
    userId: subject === '' ? undefined : subject,
    createdAt: madeAt,
    validFrom: new Date(certificate.validFrom),
    validUntil: new Date(certificate.validTo),
  };
  return { kind: 'good', signer };
}

/** RFC 5652, section 5.1: the message lists the digests that its signatures use. OpenSSL insists on it. */
function requireAnnounced(
  { digestAlgorithms }: Pki.SignedData,
  info: Pki.SignerInfo,
  { made }: Judging,
): void {
  const { algorithmId: used } = info.digestAlgorithm;
  if (digestAlgorithms.some(({ algorithmId }) => algorithmId === used)) return;
  throw new RdpullError(
    'signature-malformed',
    `${made} uses the digest ${used} without listing it`,
    SIGN_HINT,
  );
}

async function requireStrongAlgorithms(info: Pki.SignerInfo, { made }: Judging): Promise<void> {
  const digest = info.digestAlgorithm.algorithmId;
  const { algorithmId, algorithmParams } = info.signatureAlgorithm;
  const { RSASSAPSSParams } = await import('pkijs');
  const digests = [digest];
  if (algorithmId === RSASSA_PSS) {
    const parameters = new RSASSAPSSParams(algorithmParams === undefined ? {} : { schema: algorithmParams });
    digests.push(parameters.hashAlgorithm.algorithmId);
  }
  const weak = digests.find((each) => !STRONG_DIGESTS.has(each));
  if (weak === undefined && SIGNATURE_ALGORITHMS.has(algorithmId)) return;
  throw new RdpullError(
    'signature-weak',
    `${made} uses ${weak === undefined ? `the algorithm ${algorithmId}` : `the digest ${weak}`}, which is not among those that protect against forgery (RSA or ECDSA, with SHA-256, SHA-384 or SHA-512)`,
    SIGN_HINT,
  );
}

/**
 * The attributes that are signed in place of the content, where there are any: they must say that the content is a file,
 * and once only what its digest is. (That the digest is right is checked by pkijs.)
 *
 * @returns when the signature was made, if it says so
 */
function readAttributes({ signedAttrs }: Pki.SignerInfo, { made }: Judging): Date | undefined {
  if (signedAttrs === undefined) return undefined;
  const values = (type: string): unknown[] =>
    signedAttrs.attributes.filter((attribute) => attribute.type === type).flatMap((each) => each.values);
  const [contentType, ...otherTypes] = values(CONTENT_TYPE);
  const [messageDigest, ...otherDigests] = values(MESSAGE_DIGEST);
  const [signingTime] = values(SIGNING_TIME);
  if (
    otherTypes.length + otherDigests.length > 0 ||
    messageDigest === undefined ||
    objectIdentifier(contentType) !== ID_DATA
  ) {
    throw new RdpullError(
      'signature-malformed',
      `${made} does not say, once and for all, which file it is for`,
      SIGN_HINT,
    );
  }
  return dateOf(signingTime);
}

function objectIdentifier(value: unknown): string | undefined {
  return hasMethod(value, 'getValue') ? String(value.getValue()) : undefined;
}

function dateOf(value: unknown): Date | undefined {
  const date = hasMethod(value, 'toDate') ? value.toDate() : undefined;
  return date instanceof Date && !Number.isNaN(date.getTime()) ? date : undefined;
}

function hasMethod<K extends string>(value: unknown, name: K): value is Record<K, () => unknown> {
  return typeof value === 'object' && value !== null && name in value;
}

/** The trusted certificate whose key made the signature over these bytes. */
async function findMatch(
  signedData: Pki.SignedData,
  index: number,
  file: SignedFile,
  { certificates, files }: TrustedCertificates,
  { made }: Judging,
): Promise<{ readonly kind: 'match'; readonly certificate: X509Certificate } | Mismatch> {
  const { Certificate, IssuerAndSerialNumber, SignedDataVerifyError } = await import('pkijs');
  const sid: unknown = signedData.signerInfos[index]?.sid;
  let named: X509Certificate | undefined;
  for (const certificate of certificates) {
    const parsed = Certificate.fromBER(bytesOf(certificate.raw));
    // pkijs compares names as people read them, OpenSSL compares their bytes.
    const isOther =
      sid instanceof IssuerAndSerialNumber && !parsed.issuer.isEqual(sid.issuer.valueBeforeDecode);
    if (isOther) continue;
    // Each on its own: the certificates inside the signature are never looked at.
    signedData.certificates = [parsed];
    try {
      const result = await signedData.verify({
        signer: index,
        data: bytesOf(file.content),
        checkChain: false,
        extendedMode: true,
      });
      if (result.signatureVerified === true) return { kind: 'match', certificate };
      named = certificate;
    } catch (error) {
      if (!(error instanceof SignedDataVerifyError)) throw error;
      if (error.signerCertificate !== null && error.signerCertificate !== undefined) named = certificate;
    }
  }
  if (named === undefined) {
    throw new RdpullError(
      'signature-unknown-key',
      `${made} was made with a certificate that is not in ${files.map(printable).join(' or ')}`,
      'if the certificate is yours, put it into /etc/verity.d of the initrd or name its file with --certificate=FILE; if not, find out who signed',
    );
  }
  // What cannot be checked says nothing of who has changed the file.
  requireStrongKey(named, made);
  const error = new RdpullError(
    'signature-bad',
    `${made} does not match ${file.url}: this is not the file that the holder of the certificate ${printable(named.subject)} signed`,
    'sign the file again if you changed it; if you did not, find out who did',
  );
  return { kind: 'mismatch', error };
}

function requireTimely(
  { validFrom, validTo }: X509Certificate,
  subject: string,
  madeAt: Date | undefined,
  { made, now }: Judging,
): void {
  const clock = `this machine's clock says ${now.toISOString()}`;
  const latest = now.getTime() + CLOCK_TOLERANCE;
  if (madeAt !== undefined && madeAt.getTime() > latest) {
    throw new RdpullError(
      'signature-bad',
      `${made} is not valid yet: it is dated ${madeAt.toISOString()}, but ${clock}`,
      'set the clock of this machine (an initrd has no other than the hardware clock), or that of the machine that signs',
    );
  }
  const begin = new Date(validFrom);
  if (begin.getTime() > latest) {
    throw new RdpullError(
      'signature-key-expired',
      `the certificate ${subject}, which made ${made}, is valid only from ${begin.toISOString()} on, but ${clock}`,
      'set the clock of this machine (an initrd has no other than the hardware clock)',
    );
  }
  const end = new Date(validTo);
  if (end <= now) {
    throw new RdpullError(
      'signature-key-expired',
      `the certificate ${subject}, which made ${made}, expired on ${end.toISOString()}; ${clock}`,
      'make a new certificate for the key (openssl req -x509 -key KEY -days 730), put it into the initrd, and sign with it',
    );
  }
}

function requireStrongKey(certificate: X509Certificate, made: string): void {
  const key = publicKeyOf(certificate);
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key ?? {};
  const isStrong =
    type === 'rsa'
      ? (details?.modulusLength ?? 0) >= MIN_RSA_BITS
      : type === 'ec' && CURVES.includes(details?.namedCurve);
  if (isStrong) return;
  const kind = [type, details?.modulusLength ?? details?.namedCurve].filter((each) => each !== undefined);
  throw new RdpullError(
    'signature-weak',
    `the key of the certificate ${subjectOf(certificate)}, which made ${made}, is too weak or of an unknown kind${kind.length === 0 ? '' : ` (${kind.join(' ')})`}`,
    `sign the file with an RSA key of at least ${MIN_RSA_BITS} bits, or an ECDSA key on P-256, P-384 or P-521`,
  );
}

/** On one line. */
function subjectOf(certificate: X509Certificate): string {
  return printable(certificate.subject.replaceAll('\n', ', '));
}

/** undefined for a kind of key that the runtime does not know, such as one that is for RSASSA-PSS alone. */
function publicKeyOf(certificate: X509Certificate): X509Certificate['publicKey'] | undefined {
  try {
    return certificate.publicKey;
  } catch {
    return undefined;
  }
}

async function requireUsable(
  certificate: X509Certificate,
  subject: string,
  { made }: Judging,
): Promise<void> {
  requireStrongKey(certificate, made);
  const { BitString } = await import('asn1js');
  const { Certificate } = await import('pkijs');
  const { extensions = [] } = Certificate.fromBER(bytesOf(certificate.raw));
  const usage: unknown = extensions.find(({ extnID }) => extnID === KEY_USAGE)?.parsedValue;
  // Without the extension, a key may be used for everything.
  if (usage === undefined) return;
  const bits = usage instanceof BitString ? usage.valueBlock.valueHexView[0] : undefined;
  if (((bits ?? 0) & DIGITAL_SIGNATURE) === 0) {
    throw new RdpullError(
      'signature-bad',
      `the certificate ${subject}, which made ${made}, is not for signing files (keyUsage without digitalSignature)`,
      'make a certificate with -addext keyUsage=digitalSignature, or without that extension',
    );
  }
}
