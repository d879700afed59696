import { RdpullError } from '../../src/console/rdpull-error.ts';

/** The RdpullError that `action` throws; anything else that it throws or returns fails the test. */
export function refusal(action: () => unknown): RdpullError {
  let result: unknown;
  try {
    result = action();
  } catch (error) {
    if (error instanceof RdpullError) return error;
    throw error;
  }
  throw new Error(`not refused, but answered with ${JSON.stringify(result)}`);
}

/** Runs `action` on hostile input: it may refuse with an error meant for users, and nothing else. */
export function survives(action: () => unknown): void {
  try {
    action();
  } catch (error) {
    if (!(error instanceof RdpullError) || error.code === 'internal') throw error;
    // C0 controls, DEL and C1 controls would act on a terminal.
    if (/[\x00-\x1f\x7f-\x9f]/.test(error.message + error.hint)) {
      throw new Error(`unprintable message: ${JSON.stringify(error.message)}`);
    }
  }
}
