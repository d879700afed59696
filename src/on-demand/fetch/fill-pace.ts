/**
 * How long one request of the fill should keep the network busy, in ms: what a reader who comes meanwhile waits for at most, where it cannot
 * be held up.
 */
const REQUEST_TIME = 100;
const LEAST_BYTES = 64 * 1024;
const MOST_BYTES = 4 * 1024 * 1024;
/** Before anything is known of the network. */
const FIRST_BYTES = 256 * 1024;
/** The weight of the last request in the mean. */
const WEIGHT = 0.3;

/** How large requests are that nobody waits for, and when the next one may be made. */
export interface FillPace {
  /** Bytes for the next request: at least one block is asked for anyway. */
  readonly requestBytes: number;
  /** How many of them are made at once: on a fast network, one is under way while the other is answered. */
  readonly atOnce: number;
  /** A request has brought so many bytes, behind the first that came, in so many ms. */
  measured(bytes: number, milliseconds: number): void;
  /** How long so many bytes take, in ms; 0 before anything is known of the network. */
  timeOf(bytes: number): number;
  /** So many bytes are asked for. */
  spent(bytes: number): void;
  /** How long to wait before the next request, in ms. */
  readonly pause: number;
}

/** @param limit bytes a second; undefined: none */
export function createFillPace(limit: number | undefined): FillPace {
  /** Bytes a ms of one request. */
  let rate: number | undefined;
  let free = performance.now();

  return {
    get requestBytes() {
      const wanted = rate === undefined ? FIRST_BYTES : rate * REQUEST_TIME;
      const within = limit === undefined ? wanted : Math.min(wanted, (limit * REQUEST_TIME) / 1000);
      return Math.min(MOST_BYTES, Math.max(LEAST_BYTES, within));
    },
    get atOnce() {
      return rate !== undefined && rate * REQUEST_TIME >= LEAST_BYTES * 4 ? 2 : 1;
    },
    measured(bytes, milliseconds) {
      // What came at once says nothing.
      if (bytes < LEAST_BYTES / 2) return;
      const now = bytes / Math.max(milliseconds, 0.1);
      rate = rate === undefined ? now : rate + WEIGHT * (now - rate);
    },
    timeOf: (bytes) => (rate === undefined ? 0 : bytes / rate),
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
