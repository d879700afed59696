import { type FetchedBlock, type FetchRun, takeRun } from './fetch-run.ts';
import type { FillPace } from './fill-pace.ts';
import { type Precedence, RANK, type Rank } from './precedence.ts';

/** Requests for what somebody waits for, at once. */
const DEMAND_AT_ONCE = 4;
/** And for what is probably wanted next. */
const AHEAD_AT_ONCE = 2;
/** Blocks that are wanted together and lie together are one request up to so many bytes. */
export const TOGETHER_BYTES = 1024 * 1024;

/** Blocks that somebody wants, or will probably want, and no request brings yet. */
export interface RequestQueue {
  /** Puts a block behind those of its rank. Nothing is asked for before {@link pump}. */
  add(block: FetchedBlock): void;
  /** It has come, and did not hold: before all others of its rank. */
  again(block: FetchedBlock): void;
  /** Somebody wants it, whom it is more urgent for than it was until now. */
  raise(block: FetchedBlock, rank: Rank): void;
  /** Makes the requests that may be made now. */
  pump(): void;
  /** Empties it. */
  takeAll(): FetchedBlock[];
}

export interface RequestQueueOptions {
  readonly pace: FillPace;
  readonly precedence: Precedence;
  /** Whether what lies between blocks is of use, too. */
  readonly needsAll: boolean;
  /** Makes one request; its blocks tell what becomes of them. */
  readonly request: (run: FetchRun) => Promise<void>;
}

export function createRequestQueue({
  pace,
  precedence,
  needsAll,
  request,
}: RequestQueueOptions): RequestQueue {
  const demanded: FetchedBlock[] = [];
  const ahead: FetchedBlock[] = [];
  const underWay = { demanded: 0, ahead: 0 };

  const queueOf = ({ rank }: FetchedBlock) => (rank === RANK.demand ? demanded : ahead);

  function pump(): void {
    while (underWay.demanded < DEMAND_AT_ONCE) {
      if (!begin(takeRun(demanded, TOGETHER_BYTES, needsAll), 'demanded')) break;
    }
    while (underWay.ahead < AHEAD_AT_ONCE) {
      if (!begin(takeRun(ahead, pace.requestBytes, needsAll), 'ahead')) break;
    }
  }

  function begin(run: FetchRun | undefined, kind: keyof typeof underWay): boolean {
    if (run === undefined) return false;
    underWay[kind]++;
    void request(run).finally(() => {
      underWay[kind]--;
      pump();
    });
    return true;
  }

  return {
    pump,
    add: (block) => void queueOf(block).push(block),
    again(block) {
      queueOf(block).unshift(block);
      pump();
    },
    raise(block, rank) {
      if (rank >= block.rank) return;
      const { run } = block;
      const index = ahead.indexOf(block);
      block.rank = rank;
      if (run !== undefined && rank < run.rank) precedence.raise(run, rank);
      if (index < 0 || queueOf(block) === ahead) return;
      ahead.splice(index, 1);
      demanded.push(block);
    },
    takeAll: () => [...demanded.splice(0), ...ahead.splice(0)],
  };
}
