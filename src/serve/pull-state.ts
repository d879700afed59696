import type { EventLine } from '../report/report-line.ts';

/** How far one image of a boot is, as far as its machine has said. */
export type PullPhase = 'waiting' | 'pulling' | 'verified' | 'attached' | 'kept' | 'failed' | 'interrupted';

/** One image of a boot, by what was told of it last. Times in ms since its kernel was started. */
export interface PullState {
  readonly target: string;
  phase: PullPhase;
  /** Of all that was told, the newest of each field. */
  known: Partial<EventLine>;
  startedAt: number | undefined;
  finishedAt: number | undefined;
  exposedAt: number | undefined;
  failure: EventLine | undefined;
  /** Why another image is used than the one that the server has. */
  note: string | undefined;
}

export function newPull(target: string): PullState {
  return {
    ...{ target, phase: 'pulling', known: {}, startedAt: undefined, finishedAt: undefined },
    ...{ exposedAt: undefined, failure: undefined, note: undefined },
  };
}

/** Something was told of it. */
export function notePullEvent(pull: PullState, event: EventLine): void {
  // A new attempt, perhaps by hand: what was before is over.
  if (event.event === 'pull-started') {
    Object.assign(pull, { ...newPull(pull.target), startedAt: event.at, note: pull.note });
  }
  switch (event.event) {
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
  pull.phase = phaseAfter(event, pull.phase);
  const { message: _, ...fields } = event;
  pull.known = { ...pull.known, ...fields };
}

function phaseAfter({ event }: EventLine, before: PullPhase): PullPhase {
  switch (event) {
    case 'pull-started':
      return 'pulling';
    case 'progress':
      // What is read on demand arrives behind a device that is in use.
      return before === 'waiting' ? 'pulling' : before;
    case 'server-awaited':
      return before === 'pulling' ? 'waiting' : before;
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
    default:
      return before;
  }
}
