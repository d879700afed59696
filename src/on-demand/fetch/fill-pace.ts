/**
 * How long one request of the fill should keep the network busy, in ms: what a reader who comes meanwhile waits for at most, where it cannot
 * be held up.
 */
const REQUEST_TIME = 100;
const LEAST_BYTES = 64 * 1024;
const MOST_BYTES = 4 * 1024 * 1024;
/** Before anything is known of the network. */
const FIRST_BYTES = 256 * 1024;
/**
 * The weight of the last request in the mean: of one that was slower it is less, because a busy processor slows them down as well, and smaller
 * ones would only give it more to do.
 */
const WEIGHT = { quicker: 0.3, slower: 0.1 } as const;
const MOST_AT_ONCE = 4;

/** How large requests are that nobody waits for, and when the next one may be made. */
export interface FillPace {
  /** Bytes for the next request: at least one block is asked for anyway. */
  readonly requestBytes: number;
  /**
   * How many of them are made at once: on a fast network, others are under way while one is answered, as many as it takes to keep the network
   * busy. They share it, so that all of them together keep it busy for as long as one that is alone.
   */
  readonly atOnce: number;
  /** A request has brought so many bytes, behind the first that came, in so many ms; the first had come so many ms after it was made. */
  measured(bytes: number, milliseconds: number, latency: number): void;
  /** So many bytes are asked for. */
  spent(bytes: number): void;
  /** How long to wait before the next request, in ms. */
  readonly pause: number;
}

/** @param limit bytes a second; undefined: none */
export function createFillPace(limit: number | undefined): FillPace {
  /** Bytes a ms of one request. */
  let rate: number | undefined;
  /** How long the first bytes take, of what all the others do. */
  let delay = 0;
  let free = performance.now();

  function atOnce(): number {
    if (rate === undefined || rate * REQUEST_TIME < LEAST_BYTES * 4) return 1;
    return Math.min(MOST_AT_ONCE, Math.max(2, 1 + Math.ceil(delay)));
  }

  return {
    get requestBytes() {
      const wanted = rate === undefined ? FIRST_BYTES : rate * REQUEST_TIME;
      const within = limit === undefined ? wanted : Math.min(wanted, (limit * REQUEST_TIME) / 1000);
      return Math.min(MOST_BYTES, Math.max(LEAST_BYTES, within));
    },
    get atOnce() {
      return atOnce();
    },
    measured(bytes, milliseconds, latency) {
      // What came at once says nothing.
      if (bytes < LEAST_BYTES / 2) return;
      const time = Math.max(milliseconds, 0.1);
      const now = bytes / time;
      const weight = rate === undefined ? 1 : now > rate ? WEIGHT.quicker : WEIGHT.slower;
      rate = (rate ?? now) + weight * (now - (rate ?? now));
      delay += WEIGHT.quicker * (latency / time - delay);
    },
    spent(bytes) {
      if (limit !== undefined) free = Math.max(free, performance.now()) + (bytes * 1000) / limit;
    },
    get pause() {
      return Math.max(0, free - performance.now());
    },
  };
}

/** Chunks are requests of their own, as few at once as the network is busy with, and each may be held up: what is planned together only keeps them coming. */
const CHUNK_RUN_BYTES = 4 * 1024 * 1024;

/** The pace of a fill by chunks, two runs of which follow each other without a gap. */
export function chunkFillPace(pace: FillPace): Pick<FillPace, 'requestBytes' | 'atOnce' | 'spent' | 'pause'> {
  return {
    requestBytes: CHUNK_RUN_BYTES,
    atOnce: 2,
    spent: pace.spent,
    get pause() {
      return pace.pause;
    },
  };
}
