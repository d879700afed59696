import { createAttempts } from './attempts.ts';

/** For a server that cannot be reached, or that fails. */
export interface Patience {
  /** How long to go on without any progress; 0: everything is tried once. */
  readonly milliseconds: number;
  /**
   * Takes a line about what went wrong and what is done about it.
   *
   * @param pause how long nothing happens next, in ms
   */
  readonly notify: (text: string, pause: number) => void;
}

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
