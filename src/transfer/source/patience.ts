import { setTimeout } from 'node:timers/promises';
import { duration } from '../../console/quantity.ts';
import { type ErrorCode, RdpullError } from '../../console/rdpull-error.ts';

/** For a server that cannot be reached yet. */
export interface Patience {
  readonly milliseconds: number;
  /** Takes a line before each further attempt. */
  readonly notify: (text: string) => void;
}

/** Pauses between attempts, in ms. */
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 8000;

/** What may be otherwise in a moment: a network is often not ready when systemd says so. */
const PASSING: ReadonlySet<ErrorCode> = new Set([
  'host-unknown',
  'connection-refused',
  'host-unreachable',
  'connection-timeout',
  'connection-lost',
  'transfer-stalled',
  'http-server-error',
]);

/**
 * Does what needs the network, again while it fails for a reason that may pass, for as long as the patience lasts.
 *
 * @throws RdpullError the last one of `attempt`
 */
export async function patiently<T>(
  attempt: () => Promise<T>,
  { patience, signal }: { readonly patience?: Patience; readonly signal: AbortSignal },
): Promise<T> {
  const { milliseconds = 0, notify } = patience ?? {};
  const end = performance.now() + milliseconds;
  for (let pause = FIRST_PAUSE; ; pause = Math.min(pause * 2, LONGEST_PAUSE)) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof RdpullError) || !PASSING.has(error.code)) throw error;
      // Machines that were switched on together must not ask together.
      const jittered = pause * (0.75 + Math.random() / 2);
      if (performance.now() + jittered > end) throw error;
      notify?.(`${error.message}; trying again in ${duration(jittered)}`);
      await setTimeout(jittered, undefined, { signal });
    }
  }
}
