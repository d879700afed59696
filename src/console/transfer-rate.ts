/** The rate is the mean over this time, in ms: long enough to be calm, short enough to show a stall. */
const RATE_WINDOW = 5000;

/**
 * Measures how fast bytes arrive. Begins when it is made.
 *
 * @param begin in ms, of the clock that is used later
 * @returns takes the time in ms and the bytes received until then; gives bytes a second
 */
export function createRateMeter(begin: number): (at: number, received: number) => number {
  const samples = [{ at: begin, received: 0 }];
  return (at, received) => {
    samples.push({ at, received });
    while (samples.length > 2 && at - (samples[0]?.at ?? at) > RATE_WINDOW) samples.shift();
    const oldest = samples[0] ?? { at, received: 0 };
    return ((received - oldest.received) * 1000) / Math.max(1, at - oldest.at);
  };
}
