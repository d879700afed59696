/** A file and the signature that was found beside it. */
export interface SignedFile {
  readonly url: string;
  readonly content: Uint8Array;
  readonly signatureUrl: string;
  readonly signature: Uint8Array;
}

/**
 * How far a signature may be ahead of this machine's clock, in milliseconds. A hardware clock without NTP lags behind
 * that of the build server, and a fresh image must boot nevertheless. The same allowance as Sequoia PGP's.
 */
export const CLOCK_TOLERANCE = 30 * 60 * 1000;
