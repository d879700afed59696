import type { SignedData } from 'pkijs';
import { quoted } from '../../console/printable.ts';
import { RdpullError, reasonOf } from '../../console/rdpull-error.ts';
import { readDer } from './der.ts';

/** The longest signature file that is read, in bytes: room for a chain of certificates. */
const SIGNATURE_MAX = 256 * 1024;
/** How many signatures of one file are tried: each one costs a public-key operation. */
const SIGNATURES_MAX = 16;

/** RFC 5652, sections 4 and 5: content types; the first is just bytes. */
export const ID_DATA = '1.2.840.113549.1.7.1';
const ID_SIGNED_DATA = '1.2.840.113549.1.7.2';
/** What DER begins with: a SEQUENCE (X.690, section 8.9). */
const SEQUENCE = 0x30;

const HINT =
  'make it with: openssl cms -sign -binary -md sha256 -in FILE -signer CERTIFICATE -inkey KEY -outform DER -out FILE.p7s';

/**
 * Reads a detached CMS signature, as DER or PEM, without checking it.
 *
 * @returns a message with at least one signer
 * @throws RdpullError signature-malformed for anything else, and for anything behind it
 */
export async function readSignedData(content: Uint8Array, url: string): Promise<SignedData> {
  const malformed = (reason: string, cause?: unknown) =>
    new RdpullError('signature-malformed', `${url} is no detached CMS signature: ${reason}`, HINT, { cause });
  if (content.length > SIGNATURE_MAX) {
    throw malformed(`it has ${content.length} bytes, more than the ${SIGNATURE_MAX} that are read`);
  }
  const der = content[0] === SEQUENCE ? content : derOfPem(content);
  if (der === undefined) {
    const begin = new TextDecoder().decode(content.subarray(0, 40));
    throw malformed(
      /^(?:MIME-Version|Content-Type):/i.test(begin)
        ? 'it is an S/MIME message (-outform DER or PEM is missing)'
        : `it begins with ${quoted(begin)}`,
    );
  }

  const pki = await import('pkijs');
  let signedData: SignedData;
  try {
    const { contentType, content: message } = new pki.ContentInfo({ schema: await readDer(der) });
    if (contentType !== ID_SIGNED_DATA) throw new Error(`it holds something else (${contentType})`);
    signedData = new pki.SignedData({ schema: message });
  } catch (error) {
    throw malformed(reasonOf(error), error);
  }
  const { eContent, eContentType } = signedData.encapContentInfo;
  if (eContent !== undefined) throw malformed('it carries the signed file in itself (-nodetach)');
  if (eContentType !== ID_DATA) throw malformed(`it signs something else than a file (${eContentType})`);
  const count = signedData.signerInfos.length;
  if (count === 0) throw malformed('there is no signature in it');
  if (count > SIGNATURES_MAX) {
    throw malformed(`it holds ${count} signatures, more than the ${SIGNATURES_MAX} that are tried`);
  }
  return signedData;
}

/** PEM as openssl writes it (RFC 7468, section 9; `openssl cms` writes CMS, `openssl smime` PKCS7). */
function derOfPem(content: Uint8Array): Uint8Array | undefined {
  const text = new TextDecoder('latin1').decode(content);
  const [, , base64 = ''] =
    /^\s*-----BEGIN (PKCS7|CMS)-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END \1-----\s*$/.exec(text) ?? [];
  return base64 === '' ? undefined : Buffer.from(base64, 'base64');
}
