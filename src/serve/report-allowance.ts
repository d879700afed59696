/** Lines of reports that an address may send: so many a second, and so many at once. Machines behind one address share them. */
const LINES_A_SECOND = 400;
const LINES_AT_ONCE = 2000;

/** Addresses that are remembered. Who is forgotten begins anew. */
const ADDRESSES_MAX = 1024;

interface Bucket {
  left: number;
  at: number;
}

/** How much more each address may report: a token bucket for each. */
export class ReportAllowance {
  readonly #buckets = new Map<string, Bucket>();
  readonly #now: () => number;

  /** @param now a clock in ms */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Whether an address may send so many lines more. If so, it has. */
  take(address: string, lines: number): boolean {
    const at = this.#now();
    const { left, at: before } = this.#buckets.get(address) ?? { left: LINES_AT_ONCE, at };
    const now = Math.min(LINES_AT_ONCE, left + ((at - before) * LINES_A_SECOND) / 1000);
    const isAllowed = now >= lines;
    this.#buckets.delete(address);
    this.#buckets.set(address, { left: isAllowed ? now - lines : now, at });
    // A Map keeps the order in which they came: the first has been silent for the longest time.
    for (const oldest of this.#buckets.keys()) {
      if (this.#buckets.size <= ADDRESSES_MAX) break;
      this.#buckets.delete(oldest);
    }
    return isAllowed;
  }
}
