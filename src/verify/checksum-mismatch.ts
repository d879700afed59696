import { RdpullError } from '../console/rdpull-error.ts';

export interface ChecksumMismatch {
  /** What was downloaded. */
  readonly url: string;
  /** How many bytes of it arrived, as served. */
  readonly bytes: number;
  /** SHA-256 of these bytes, in hexadecimal digits. */
  readonly actual: string;
  /** The SHA-256 that was promised, in hexadecimal digits. */
  readonly expected: string;
  /** The checksum file that promised it; undefined when the digest came with the request itself (`verify=sha256:`). */
  readonly manifestUrl: string | undefined;
}

/** The error for bytes that are not the promised ones. */
export function checksumMismatch(mismatch: ChecksumMismatch): RdpullError {
  const { url, bytes, actual, expected, manifestUrl } = mismatch;
  const promise = manifestUrl === undefined ? 'the request asks for' : `${manifestUrl} promises`;
  return new RdpullError(
    'checksum-mismatch',
    `${url} is not what was promised: its ${bytes} bytes have the SHA-256 ${actual}, but ${promise} ${expected}`,
    manifestUrl === undefined
      ? 'check the digest in the request, and who may write to the server'
      : 'try again in case the file was being replaced; else publish file and checksum together, and check who may write to the server',
  );
}
