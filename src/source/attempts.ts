import { duration } from '../console/quantity.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { shownUrl } from '../console/shown-url.ts';
import { HttpStatusError } from './http-status.ts';
import { isOthersFailure, isPassing } from './passing.ts';
import type { Patience } from './source.ts';

/** Pauses between attempts, in ms. */
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 8000;

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
  /** The last failure of each place. */
  const causes = new Map<P, RdpullError>();
  const refused = new Set<P>();
  /** Where it failed since all places were tried last. */
  const failedThisRound = new Set<P>();
  /** When a place may be asked again that has named a time. */
  const notBefore = new Map<P, number>();
  let [place] = places;
  let gained = performance.now();
  let hasGained = false;
  let pause = FIRST_PAUSE;
  let tries = 0;

  /** The places that are left, the one behind the present one first. */
  function placesLeft(): P[] {
    const present = place === undefined ? -1 : places.indexOf(place);
    return [...places.slice(present + 1), ...places.slice(0, present + 1)].filter(
      (each) => !refused.has(each),
    );
  }

  /** How long a place has asked to be left alone from `now` on, in ms. */
  const asksFor = (each: P, now: number) => Math.max(0, (notBefore.get(each) ?? 0) - now);

  /** Where to go on, and whether at once. */
  function choose(failed: P, patient: boolean, now: number): { next: P; atOnce: boolean } | undefined {
    if (hasGained && patient && !refused.has(failed) && asksFor(failed, now) === 0) {
      hasGained = false;
      return { next: failed, atOnce: false };
    }
    hasGained = false;
    failedThisRound.add(failed);
    const left = placesLeft();
    const untried = left.find((each) => !failedThisRound.has(each) && asksFor(each, now) === 0);
    if (untried !== undefined) return { next: untried, atOnce: true };
    failedThisRound.clear();
    const [next] = left.toSorted((one, other) => asksFor(one, now) - asksFor(other, now));
    return next === undefined || !patient ? undefined : { next, atOnce: false };
  }

  async function failed(error: unknown): Promise<void> {
    signal.throwIfAborted();
    if (!isOthersFailure(error) || place === undefined) throw error;
    tries++;
    causes.set(place, error);
    if (passes(error)) refused.delete(place);
    else refused.add(place);
    const now = performance.now();
    const { milliseconds = 0, notify } = patience ?? {};
    const remaining = gained + milliseconds - now;
    const asked = error instanceof HttpStatusError ? error.retryAfter : undefined;
    if (asked !== undefined) notBefore.set(place, now + asked);

    const chosen = choose(place, remaining > 0, now);
    // Where one server has another file that could be had whole, the others are not waited for until the end, where there is one.
    const hasEnd = milliseconds !== Number.POSITIVE_INFINITY;
    const isHopeless =
      hasEnd && chosen?.atOnce === false && pause === LONGEST_PAUSE && changed() !== undefined;
    if (chosen === undefined || isHopeless) throw failure(error);
    const { next, atOnce } = chosen;
    let wait = 0;
    if (!atOnce) {
      // Machines that were switched on together must not ask together.
      const jittered = pause * (0.75 + Math.random() / 2);
      wait = Math.min(remaining, Math.max(jittered, asksFor(next, now)));
      pause = Math.min(pause * 2, LONGEST_PAUSE);
    }
    const where = next === place ? '' : ` from ${shownUrl(next.url)}`;
    const when = atOnce ? '' : ` in ${duration(wait)}`;
    notify?.(`${error.message}; ${advance().next}${where}${when}`, wait);
    if (wait > 0) {
      // Only here: it takes as long to load as a server in the same network takes to answer.
      const { setTimeout } = await import('node:timers/promises');
      await setTimeout(wait, undefined, { signal });
    }
    place = next;
  }

  const changed = () => [...causes.values()].find(({ code }) => code === 'http-changed');

  /** What it all came to. */
  function failure(last: RdpullError): RdpullError {
    const { got } = advance();
    const [first, ...others] = causes.values();
    const messages = new Set([...causes.values()].map(({ message }) => message));
    const spent = performance.now() - gained;
    const details = [
      ...(got === '' ? [] : [`${got} had arrived`]),
      ...(tries > causes.size && passes(last)
        ? [`gave up after ${tries} attempts in ${duration(spent)} without progress`]
        : []),
    ];
    const end = details.length === 0 ? '' : `; ${details.join(', ')}`;
    if (first === undefined || others.length === 0 || messages.size === 1) {
      if (end === '') return last;
      return new RdpullError(last.code, `${last.message}${end}`, last.hint, { cause: last });
    }
    const { code, hint } = changed() ?? first;
    const listed = [...messages].join('; ');
    return new RdpullError(code, `none of ${places.length} mirrors helps: ${listed}${end}`, hint, {
      cause: last,
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
      place = placesLeft()[0] ?? place;
    },
    progressed() {
      gained = performance.now();
      if (place !== undefined) refused.delete(place);
      if (hasGained) return;
      hasGained = true;
      pause = FIRST_PAUSE;
      tries = 0;
      failedThisRound.clear();
    },
  };
}
