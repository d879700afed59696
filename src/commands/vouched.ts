import { shownUrl } from '../console/shown-url.ts';
import type { Promised } from '../transfer/promise.ts';

/** Who says that a file is the right one, as the end of a sentence about it. */
export function vouched(promised: Promised | undefined): string {
  if (promised === undefined) return 'not verified';
  const { manifestUrl, signedBy } = promised;
  if (manifestUrl === undefined) return 'verified by the digest that was asked for';
  if (signedBy === undefined) return `verified by ${shownUrl(manifestUrl)}`;
  const signer = signedBy.userId ?? 'a key without a name';
  return `verified by ${shownUrl(manifestUrl)}, signed by ${signer} (${signedBy.fingerprint})`;
}
