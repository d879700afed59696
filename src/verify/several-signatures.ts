import { RdpullError } from '../console/rdpull-error.ts';
import type { Signer } from './signer.ts';

/** What one of the signatures of a file has come to; who refuses it throws. */
export type Verdict = { readonly kind: 'good'; readonly signer: Signer } | Mismatch;

/** By somebody who is trusted, but over something else. */
export interface Mismatch {
  readonly kind: 'mismatch';
  readonly error: RdpullError;
}

/**
 * What the signatures of a file come to together: one has to be good, and none may be by somebody who is trusted, but over other bytes.
 * All are looked at.
 *
 * @param url of the signatures, for messages
 * @param verify judges one of them
 * @throws RdpullError the mismatch; else, when none is good, why the first was refused that somebody trusted may have made
 */
export async function judgeSignatures<Signature>(
  signatures: Iterable<Signature>,
  url: string,
  verify: (signature: Signature) => Promise<Verdict>,
): Promise<Signer> {
  let signer: Signer | undefined;
  let mismatch: RdpullError | undefined;
  let refusal: RdpullError | undefined;
  for (const signature of signatures) {
    try {
      const verdict = await verify(signature);
      if (verdict.kind === 'good') signer ??= verdict.signer;
      else mismatch ??= verdict.error;
    } catch (error) {
      if (!(error instanceof RdpullError)) throw error;
      // Among several, an unknown co-signer is the least of all reasons.
      if (refusal === undefined || refusal.code === 'signature-unknown-key') refusal = error;
    }
  }
  if (mismatch !== undefined) throw mismatch;
  if (signer !== undefined) return signer;
  throw refusal ?? new Error(`${url} was read as no signature at all`);
}
