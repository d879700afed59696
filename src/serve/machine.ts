import type { EventLine, MachineLine } from '../report/report-line.ts';

/** Boots of a machine that are kept, and pulls of a boot. */
const BOOTS_MAX = 6;
const PULLS_MAX = 4;

/** How far a boot is, as far as anybody has said. */
export type Stage =
  | 'loading the UKI'
  | 'booting the UKI'
  | 'waiting'
  | 'pulling'
  | 'verified'
  | 'attached'
  | 'kept'
  | 'root mounted'
  | 'root switched to'
  | 'failed'
  | 'interrupted';

/** The UKI on its way to the firmware, which this server sees itself. Times in ms since 1970, of this machine. */
export interface UkiFetch {
  readonly path: string;
  readonly begun: number;
  readonly size: number;
  sent: number;
  ended: number | undefined;
}

/** One image of a boot, by what was told of it last. Times in ms since its kernel was started. */
export interface PullState {
  readonly target: string;
  /** Of all that was told, the newest of each field. */
  known: Partial<EventLine>;
  startedAt: number | undefined;
  finishedAt: number | undefined;
  exposedAt: number | undefined;
  failure: EventLine | undefined;
  /** Why another image is used than the one that the server has. */
  note: string | undefined;
}

/** One boot of a machine. */
export interface Boot {
  /** The kernel's, once it has one. */
  id: string | undefined;
  /** When this server heard of it first, and last, in ms since 1970. */
  readonly begun: number;
  updated: number;
  stage: Stage;
  uki: UkiFetch | undefined;
  about: MachineLine | undefined;
  readonly pulls: PullState[];
  mountedAt: number | undefined;
  switchedAt: number | undefined;
}

/** What is known of one machine: it never grows beyond its bounds, whatever it tells. */
export class Machine {
  readonly boots: Boot[] = [];
  #key: string;

  /**
   * @param row what tells it from all others, as long as this server runs
   * @param key its address and what it says that it is; of a firmware, which says nothing, the address alone
   */
  constructor(
    readonly row: number,
    readonly address: string,
    key: string,
  ) {
    this.#key = key;
  }

  get key(): string {
    return this.#key;
  }

  /** It has said who it is. */
  identified(key: string): void {
    this.#key = key;
  }

  get boot(): Boot | undefined {
    return this.boots[0];
  }

  /** A boot begins. */
  begin(now: number, uki?: UkiFetch): Boot {
    const boot: Boot = {
      ...{ id: undefined, begun: now, updated: now, stage: 'loading the UKI', uki, about: undefined },
      ...{ pulls: [], mountedAt: undefined, switchedAt: undefined },
    };
    this.boots.unshift(boot);
    this.boots.length = Math.min(this.boots.length, BOOTS_MAX);
    return boot;
  }

  /** Takes the boot that another row has begun with. */
  adopt(boot: Boot): void {
    this.boots.unshift(boot);
    this.boots.length = Math.min(this.boots.length, BOOTS_MAX);
  }

  /** Something has happened in a boot. */
  tell(boot: Boot, event: EventLine, now: number): void {
    boot.updated = now;
    if (event.event === 'root-mounted') boot.mountedAt ??= event.at;
    if (event.event === 'root-switched') boot.switchedAt ??= event.at;
    const stage = stageAfter(event, boot.stage);
    if (stage !== undefined) boot.stage = stage;
    if (event.event === 'root-mounted' || event.event === 'root-switched') return;
    const pull = pullOf(boot, event.target ?? '');
    noteEvent(pull, event);
  }
}

/** The pull that somebody wants to see first: the one that has failed, the one that goes on, else the newest. */
export function foremostPull({ pulls }: Boot): PullState | undefined {
  return (
    pulls.find(({ failure }) => failure !== undefined) ??
    pulls.find(({ finishedAt, exposedAt }) => finishedAt === undefined && exposedAt === undefined) ??
    pulls[0]
  );
}

/** Of more than there is room for, the oldest goes. */
function pullOf(boot: Boot, target: string): PullState {
  const known = boot.pulls.find((each) => each.target === target);
  if (known !== undefined) return known;
  const pull: PullState = {
    ...{ target, known: {}, startedAt: undefined, finishedAt: undefined, exposedAt: undefined },
    failure: undefined,
    note: undefined,
  };
  boot.pulls.unshift(pull);
  boot.pulls.length = Math.min(boot.pulls.length, PULLS_MAX);
  return pull;
}

function noteEvent(pull: PullState, event: EventLine): void {
  const { message: _, ...fields } = event;
  switch (event.event) {
    case 'pull-started':
      // A new attempt, perhaps by hand: what was wrong with the one before is over.
      pull.known = {};
      Object.assign(pull, {
        startedAt: event.at,
        finishedAt: undefined,
        exposedAt: undefined,
        failure: undefined,
      });
      break;
    case 'pull-finished':
    case 'handed-over':
      pull.finishedAt = event.at;
      break;
    case 'image-exposed':
    case 'image-kept':
      pull.exposedAt ??= event.at;
      break;
    case 'image-substituted':
      pull.note = event.message;
      break;
    case 'failed':
    case 'image-broken':
      pull.failure = event;
      break;
    default:
      break;
  }
  pull.known = { ...pull.known, ...fields };
}

function stageAfter({ event }: EventLine, before: Stage): Stage | undefined {
  switch (event) {
    case 'pull-started':
      return 'pulling';
    case 'progress':
      // What is read on demand arrives behind a root that is in use.
      return before === 'waiting' ? 'pulling' : undefined;
    case 'server-awaited':
      return before === 'pulling' || before === 'booting the UKI' ? 'waiting' : undefined;
    case 'pull-finished':
      return 'verified';
    case 'image-exposed':
      return 'attached';
    case 'image-kept':
      return 'kept';
    case 'failed':
    case 'image-broken':
      return 'failed';
    case 'interrupted':
      return 'interrupted';
    case 'root-mounted':
      return 'root mounted';
    case 'root-switched':
      return 'root switched to';
    case 'handed-over':
    case 'image-substituted':
      return undefined;
  }
}
