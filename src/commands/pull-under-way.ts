import type { Recorder } from '../record/recorder.ts';
import type { SourceOptions } from '../source/source.ts';
import type { PullCache } from './pull-cache.ts';
import type { Display } from './pull-display.ts';
import type { PullPlan } from './pull-plan.ts';

/** A pull under way: what was asked for, how servers are asked, and who hears of it. */
export interface Pull {
  readonly plan: PullPlan;
  readonly access: Omit<SourceOptions, 'login'> & Pick<Required<SourceOptions>, 'proxy'>;
  readonly display: Display;
  readonly recorder: Recorder;
  readonly cache: PullCache | undefined;
}
