/** How often it is looked how far everything is, in ms. */
const INTERVAL = 250;

/** Does what has to be done again and again, in the same order each time, until it is disposed of. */
export interface Pulse extends Disposable {
  /** Has something done at each beat, behind what was added before, until the result is disposed of. */
  each(action: () => void): Disposable;
  /**
   * Looks at once, and at each beat.
   *
   * @returns whether it has come to hold; not when `end` came first
   * @throws what `holds` throws; the reason of the signal
   */
  until(holds: () => boolean, end: Promise<unknown>, signal: AbortSignal): Promise<boolean>;
}

/** @param first what has to be done before anything else, at each beat */
export function startPulse(first: () => void): Pulse {
  const actions = new Set([first]);
  const timer = setInterval(() => {
    for (const action of actions) action();
  }, INTERVAL);

  function each(action: () => void): Disposable {
    // Of its own, also when somebody adds the same twice.
    const added = () => action();
    actions.add(added);
    return { [Symbol.dispose]: () => void actions.delete(added) };
  }

  return {
    each,
    async until(holds, end, signal) {
      signal.throwIfAborted();
      const { promise, resolve, reject } = Promise.withResolvers<boolean>();
      const look = () => {
        try {
          if (holds()) resolve(true);
        } catch (error) {
          reject(error);
        }
      };
      const abort = () => reject(signal.reason);
      signal.addEventListener('abort', abort);
      using _looks = each(look);
      first();
      look();
      // What holds by now counts, though it has ended as well.
      const over = () => resolve(false);
      end.then(over, over);
      try {
        return await promise;
      } finally {
        signal.removeEventListener('abort', abort);
      }
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}
