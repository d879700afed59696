/** Which of several places, mirrors of one another, is asked next. */
export interface PlaceTurns<P> {
  /** Those that are left, the one behind `present` first. */
  left(present: P | undefined): P[];
  /**
   * A place has failed.
   *
   * @param passes whether it may be otherwise in a moment; else it is not asked again
   * @param notBefore when it may be asked again, where it has named a time, in ms of performance.now()
   */
  failed(place: P, passes: boolean, notBefore: number | undefined): void;
  /**
   * Where to go on behind a place that has just failed, and whether at once; undefined when no place is left.
   *
   * @param patient whether there is time for a place that was asked before
   */
  next(failed: P, patient: boolean, now: number): { next: P; atOnce: boolean } | undefined;
  /** How long a place has asked to be left alone from `now` on, in ms. */
  asksFor(place: P, now: number): number;
  /** A place has brought something. Returns whether that is news since one has failed. */
  worked(place: P): boolean;
}

/**
 * The next place comes at once, until all have failed. A place that had worked gets a second chance before the others. One
 * whose answer will not pass (404, say) is left out.
 */
export function createPlaceTurns<P>(places: readonly P[]): PlaceTurns<P> {
  const refused = new Set<P>();
  /** Where it failed since all places were tried last. */
  const failedThisRound = new Set<P>();
  const notBefore = new Map<P, number>();
  let hasWorked = false;

  const asksFor = (place: P, now: number) => Math.max(0, (notBefore.get(place) ?? 0) - now);

  function left(present: P | undefined): P[] {
    const index = present === undefined ? -1 : places.indexOf(present);
    const inOrder = [...places.slice(index + 1), ...places.slice(0, index + 1)];
    return inOrder.filter((place) => !refused.has(place));
  }

  return {
    left,
    asksFor,
    failed(place, passes, time) {
      if (passes) refused.delete(place);
      else refused.add(place);
      if (time !== undefined) notBefore.set(place, time);
    },
    next(failed, patient, now) {
      const deservesAnother = hasWorked && patient && !refused.has(failed) && asksFor(failed, now) === 0;
      hasWorked = false;
      if (deservesAnother) return { next: failed, atOnce: false };
      failedThisRound.add(failed);
      const candidates = left(failed);
      const untried = candidates.find((place) => !failedThisRound.has(place) && asksFor(place, now) === 0);
      if (untried !== undefined) return { next: untried, atOnce: true };
      failedThisRound.clear();
      const [soonest] = candidates.toSorted((one, other) => asksFor(one, now) - asksFor(other, now));
      return soonest === undefined || !patient ? undefined : { next: soonest, atOnce: false };
    },
    worked(place) {
      refused.delete(place);
      if (hasWorked) return false;
      hasWorked = true;
      failedThisRound.clear();
      return true;
    },
  };
}
