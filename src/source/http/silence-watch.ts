import { HttpFault } from './http-fault.ts';

/** Watches for how long nothing of use comes while somebody waits for it. */
export interface SilenceWatch {
  /** The request is on its way: somebody waits for the head of the answer. */
  begin(): void;
  /** The first byte of the answer has to come within so many ms. */
  hurry(milliseconds: number): void;
  /** It has come. */
  heard(): void;
  /** The head is here: the silence is one in the body from now on. */
  inBody(): void;
  /** Somebody begins to wait for the body, or has not to wait any more. */
  waits(waiting: boolean): void;
  /** What has come was of use: what comes next may take its time again. */
  progressed(): void;
  end(): void;
}

/**
 * @param silence how long it may last, in ms: a byte now and then of a head that does not end is nothing of use
 * @param giveUp takes the HttpFault when it has lasted longer
 */
export function createSilenceWatch(silence: number, giveUp: (fault: HttpFault) => void): SilenceWatch {
  let code: 'RDPULL_SILENT_HEAD' | 'RDPULL_SILENT_BODY' = 'RDPULL_SILENT_HEAD';
  let isWaiting = false;
  /** When somebody began to wait for what is of use. */
  let since: number | undefined;
  let limit: NodeJS.Timeout | undefined;
  let hurried: NodeJS.Timeout | undefined;

  const tooSilent = (milliseconds: number) =>
    giveUp(new HttpFault(code, `nothing came for ${milliseconds} ms`));

  /** One timer for all of an answer: to set a new one for each chunk would cost more than the rest of its way. */
  function check(): void {
    const spent = isWaiting && since !== undefined ? performance.now() - since : 0;
    // A timer may be early by a part of a millisecond.
    if (spent < silence - 1) limit = setTimeout(check, silence - spent);
    else tooSilent(silence);
  }

  return {
    begin() {
      isWaiting = true;
      since = performance.now();
      limit = setTimeout(check, silence);
    },
    hurry(milliseconds) {
      if (milliseconds < silence) hurried = setTimeout(tooSilent, milliseconds, milliseconds);
    },
    heard: () => clearTimeout(hurried),
    inBody() {
      code = 'RDPULL_SILENT_BODY';
      isWaiting = false;
      since = undefined;
    },
    waits(waiting) {
      isWaiting = waiting;
      if (waiting) since ??= performance.now();
    },
    progressed() {
      since = undefined;
    },
    end() {
      clearTimeout(limit);
      clearTimeout(hurried);
    },
  };
}
