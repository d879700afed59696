import { createAttempts } from './attempts.ts';
import type { Patience } from './source.ts';

/**
 * Does what needs the network, again while it fails for a reason that may pass, for as long as the patience lasts.
 *
 * @param url what it is done with
 * @throws RdpullError of `attempt`
 */
export function patiently<T>(
  url: string,
  attempt: () => Promise<T>,
  options: { readonly patience?: Patience; readonly signal: AbortSignal },
): Promise<T> {
  return createAttempts([{ url }], options).make(attempt);
}
