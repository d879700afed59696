import fs from 'node:fs';
import { EMULATION_FAULT } from './guest.ts';
import { Lab } from './lab.ts';
import type { Times } from './milestones.ts';
import type { Scenario } from './scenario.ts';

export interface Outcome {
  readonly scenario: Scenario;
  /** Why it failed; undefined when it did not. */
  readonly failure: string | undefined;
  readonly times: Times;
  readonly notes: readonly string[];
  /** Of the whole, with all that had to be made. */
  readonly seconds: number;
  /** The console of every machine. */
  readonly log: string;
}

/** Runs a scenario; once more when the emulation has failed, and not the boot. */
export async function runScenario(scenario: Scenario): Promise<Outcome> {
  const outcome = await attempt(scenario);
  if (outcome.failure === undefined || !EMULATION_FAULT.test(readLog(outcome.log))) return outcome;
  return await attempt(scenario);
}

/** Works through scenarios, so many at a time. */
export async function runSideBySide(
  scenarios: readonly Scenario[],
  jobs: number,
  work: (scenario: Scenario) => Promise<void>,
): Promise<void> {
  const waiting = [...scenarios];
  async function next(): Promise<void> {
    for (let scenario = waiting.shift(); scenario !== undefined; scenario = waiting.shift())
      await work(scenario);
  }
  await Promise.all(Array.from({ length: jobs }, next));
}

async function attempt(scenario: Scenario): Promise<Outcome> {
  const begun = performance.now();
  await using lab = new Lab(scenario.name);
  let failure: string | undefined;
  try {
    await scenario.run(lab);
  } catch (error) {
    failure = error instanceof Error ? error.message : String(error);
  }
  const { times, notes, log } = lab;
  return { scenario, failure, times, notes, seconds: (performance.now() - begun) / 1000, log };
}

/** The last lines of a console. */
export function tail(log: string, lines = 40): string {
  return readLog(log).trimEnd().split('\n').slice(-lines).join('\n');
}

function readLog(log: string): string {
  return fs.existsSync(log) ? fs.readFileSync(log, 'utf8') : '';
}
