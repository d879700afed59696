import type { Attempts } from '../../source/attempts.ts';
import { HttpStatusError } from '../../source/http-status.ts';
import { isOthersFailure, isPassing } from '../../source/passing.ts';
import type { Location } from '../../source/source.ts';

/** Bytes of a file that have to have come since the last failure for the next one to be no reason to wait. */
const PROGRESS = 16 * 1024;

/** Readers of one file that failed together wait together. */
export interface SharedRecovery {
  /** Bytes have come, for any reader. */
  progressed(bytes: number): void;
  /** The failures so far: to be kept by whoever begins something. */
  readonly failures: number;
  /**
   * Something has failed that was begun after `before` failures: waits until it is time to try again.
   *
   * @throws RdpullError when the patience is over
   */
  wait(error: unknown, before: number): Promise<void>;
}

export function createSharedRecovery(attempts: Attempts<Location>): SharedRecovery {
  /** What has come since something failed last, in bytes. */
  let progress = 0;
  let failures = 0;
  let waiting: Promise<void> | undefined;

  function begin(): void {
    progress = 0;
    failures++;
  }

  return {
    progressed(bytes) {
      progress += bytes;
      attempts.progressed();
    },
    get failures() {
      return failures;
    },
    async wait(error, before) {
      // Somebody has waited since then.
      if (before !== failures) return;
      if (progress >= PROGRESS && isLostConnection(error)) {
        begin();
        return;
      }
      waiting ??= attempts.failed(error).finally(() => {
        waiting = undefined;
        begin();
      });
      await waiting;
    },
  };
}

/** Whether a failure is no server's answer: another connection may do. */
function isLostConnection(error: unknown): boolean {
  return isOthersFailure(error) && !(error instanceof HttpStatusError) && isPassing(error);
}
