import type { EventLine, MachineLine } from '../report/report-line.ts';
import { newPull, notePullEvent, type PullPhase, type PullState } from './pull-state.ts';

/** Boots of a machine that are kept, and pulls of a boot. */
const BOOTS_MAX = 6;
const PULLS_MAX = 4;

/** How far a boot is, as far as anybody has said. */
export type Stage = 'loading the UKI' | 'booting the UKI' | PullPhase | 'root mounted' | 'root switched to';

/** The UKI on its way to the firmware, which this server sees itself. Times in ms since 1970, of this machine. */
export interface UkiFetch {
  readonly path: string;
  readonly begun: number;
  readonly size: number;
  sent: number;
  ended: number | undefined;
}

/** One boot of a machine. */
export interface Boot {
  /** The kernel's, once it has one. */
  id: string | undefined;
  /** When this server heard of it first, and last, in ms since 1970. */
  readonly begun: number;
  updated: number;
  uki: UkiFetch | undefined;
  about: MachineLine | undefined;
  readonly pulls: PullState[];
  mountedAt: number | undefined;
  switchedAt: number | undefined;
  /** What was told last, progress aside: who does not hear in time that a report has arrived, sends it again. */
  lately: readonly string[];
}

/** Events of a boot that are known again. */
const LATELY_MAX = 8;

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
      ...{ id: undefined, begun: now, updated: now, uki, about: undefined },
      ...{ pulls: [], mountedAt: undefined, switchedAt: undefined, lately: [] },
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

  /** Something has happened in a boot. Returns whether it is news. */
  tell(boot: Boot, event: EventLine, now: number): boolean {
    boot.updated = now;
    if (event.event !== 'progress') {
      const told = JSON.stringify([event.event, event.at, event.target]);
      if (boot.lately.includes(told)) return false;
      boot.lately = [...boot.lately, told].slice(-LATELY_MAX);
    }
    if (event.event === 'root-mounted') boot.mountedAt ??= event.at;
    if (event.event === 'root-switched') boot.switchedAt ??= event.at;
    if (event.event === 'root-mounted' || event.event === 'root-switched') return true;
    notePullEvent(pullOf(boot, event.target ?? UNNAMED), event);
    return true;
  }
}

/** How far a boot is: what is most worth to be seen of all that was told. */
export function stageOf({ uki, pulls, mountedAt, switchedAt }: Boot): Stage {
  if (switchedAt !== undefined) return 'root switched to';
  const is = (phase: PullPhase) => pulls.some((each) => each.phase === phase);
  if (is('failed')) return 'failed';
  if (mountedAt !== undefined) return 'root mounted';
  const goesOn = (['pulling', 'waiting'] as const).find(is);
  const [newest] = pulls;
  if (goesOn !== undefined || newest !== undefined) return goesOn ?? newest?.phase ?? 'pulling';
  return uki !== undefined && (uki.ended === undefined || uki.sent < uki.size)
    ? 'loading the UKI'
    : 'booting the UKI';
}

/** The pull that somebody wants to see first: the one that has failed, the one that goes on, else the newest. */
export function foremostPull({ pulls }: Boot): PullState | undefined {
  const by = (...phases: PullPhase[]) => pulls.find(({ phase }) => phases.includes(phase));
  return by('failed') ?? by('pulling', 'waiting') ?? pulls[0];
}

/** Of what failed before it was known what would become of it. */
const UNNAMED = '';

/** Of more than there is room for, the oldest goes. */
function pullOf(boot: Boot, target: string): PullState {
  const known = boot.pulls.find((each) => each.target === target);
  if (known !== undefined) return known;
  const pull = newPull(target);
  // By now it is known.
  const others = boot.pulls.filter((each) => each.target !== UNNAMED);
  boot.pulls.splice(0, boot.pulls.length, pull, ...others.slice(0, PULLS_MAX - 1));
  return pull;
}
