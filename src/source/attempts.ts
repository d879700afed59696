import { duration } from '../console/quantity.ts';
import type { RdpullError } from '../console/rdpull-error.ts';
import { shownUrl } from '../console/shown-url.ts';
import { attemptsFailure, changedFile } from './attempts-failure.ts';
import { HttpStatusError } from './http-status.ts';
import { isOthersFailure, isPassing } from './passing.ts';
import { createPlaceTurns } from './place-turns.ts';
import type { Patience } from './source.ts';

/** Pauses between attempts, in ms. */
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 8000;
/** What a server that asks for a pause gets at most, in ms: a root that waits for it stands still as long. */
const LONGEST_ASKED = 600_000;

/** What attempts are made at, told apart by identity. */
interface Place {
  readonly url: string;
}

/** Attempts at several places, mirrors of one another, until one succeeds or the patience is over. */
export interface Attempts<P extends Place> {
  /** Where the next attempt is made. */
  readonly place: P | undefined;
  /**
   * Does `action` at the present place, and after a failure at the next one.
   *
   * @throws RdpullError when no place is left or the patience is over; whatever else `action` throws
   */
  make<T>(action: (place: P) => Promise<T>): Promise<T>;
  /**
   * What had been begun at the present place has failed: waits until it is time to try again.
   *
   * @throws as {@link make}
   */
  failed(error: unknown): Promise<void>;
  /** Something was gained: the patience begins anew. */
  progressed(): void;
  /** What had come from the present place is of no use: the next one is asked, where there is another. */
  turn(): void;
}

/** How far the work is, for messages. */
export interface Advance {
  /** What the next attempt does: `trying again`, `resuming at byte 7`. */
  readonly next: string;
  /** What there is already, such as `7 of 12 bytes`; empty when there is nothing. */
  readonly got: string;
}

const NOTHING_YET: Advance = { next: 'trying again', got: '' };

export interface AttemptOptions {
  /** Its `milliseconds` may change meanwhile: they are looked at when something has failed. */
  readonly patience?: Patience;
  readonly signal: AbortSignal;
  /** Whether a failure may be otherwise in a moment; without it, {@link isPassing}. */
  readonly passes?: (error: RdpullError) => boolean;
}

/**
 * The next place is tried at once; the pauses come when all have failed, and grow. A place that had worked gets a second
 * chance before the others. One that answers what will not pass (404, say) is not asked again.
 *
 * @param places at least one
 */
export function createAttempts<P extends Place>(
  places: readonly P[],
  { patience, signal, passes = isPassing }: AttemptOptions,
  advance: () => Advance = () => NOTHING_YET,
): Attempts<P> {
  const turns = createPlaceTurns(places);
  /** The last failure of each place. */
  const causes = new Map<P, RdpullError>();
  let [place] = places;
  let gained = performance.now();
  let pause = FIRST_PAUSE;
  let tries = 0;

  async function failed(error: unknown): Promise<void> {
    signal.throwIfAborted();
    if (!isOthersFailure(error) || place === undefined) throw error;
    tries++;
    causes.set(place, error);
    const now = performance.now();
    const asked = error instanceof HttpStatusError ? error.retryAfter : undefined;
    turns.failed(
      place,
      passes(error),
      asked === undefined ? undefined : now + Math.min(asked, LONGEST_ASKED),
    );

    const { milliseconds = 0, notify } = patience ?? {};
    const remaining = gained + milliseconds - now;
    const chosen = turns.next(place, remaining > 0, now);
    if (chosen === undefined || isHopeless(chosen.atOnce, milliseconds)) throw failure(error);
    const { next, atOnce } = chosen;
    const wait = atOnce ? 0 : Math.min(remaining, Math.max(nextPause(), turns.asksFor(next, now)));
    const where = next === place ? '' : ` from ${shownUrl(next.url)}`;
    const when = atOnce ? '' : ` in ${duration(wait)}`;
    notify?.(`${error.message}; ${advance().next}${where}${when}`, wait);
    if (wait > 0) await sleep(wait, signal);
    place = next;
  }

  /** Where one server has another file that could be had whole, the others are not waited for until the end, where there is one. */
  function isHopeless(atOnce: boolean, milliseconds: number): boolean {
    const hasEnd = milliseconds !== Number.POSITIVE_INFINITY;
    return hasEnd && !atOnce && pause === LONGEST_PAUSE && changedFile([...causes.values()]) !== undefined;
  }

  /** Each is longer than the one before. Machines that were switched on together must not ask together. */
  function nextPause(): number {
    const jittered = pause * (0.75 + Math.random() / 2);
    pause = Math.min(pause * 2, LONGEST_PAUSE);
    return jittered;
  }

  function failure(last: RdpullError): RdpullError {
    return attemptsFailure({
      causes: [...causes.values()],
      last,
      places: places.length,
      got: advance().got,
      effort: passes(last) ? { tries, milliseconds: performance.now() - gained } : undefined,
    });
  }

  return {
    get place() {
      return place;
    },
    async make(action) {
      for (;;) {
        signal.throwIfAborted();
        if (place === undefined) throw new Error('there is no place to try');
        try {
          return await action(place);
        } catch (error) {
          await failed(error);
        }
      }
    },
    failed,
    turn() {
      place = turns.left(place)[0] ?? place;
    },
    progressed() {
      gained = performance.now();
      if (place === undefined || !turns.worked(place)) return;
      pause = FIRST_PAUSE;
      tries = 0;
    },
  };
}

/** What waits is loaded only here: it takes as long as a server in the same network takes to answer. */
async function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  const { setTimeout } = await import('node:timers/promises');
  await setTimeout(milliseconds, undefined, { signal });
}
