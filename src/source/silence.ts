/** How long a server may stay silent, in ms, and how short that time may become where the patience is short. */
const LONGEST_SILENCE = 30_000;
const SHORTEST_SILENCE = 10_000;

/** How long a server may stay silent, in ms, so that the patience has room for another attempt or two. */
export function silenceWithin(patience: number): number {
  if (patience === 0) return LONGEST_SILENCE;
  return Math.min(patience, LONGEST_SILENCE, Math.max(patience / 3, SHORTEST_SILENCE));
}
