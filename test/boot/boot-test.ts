import { parseArgs } from 'node:util';
import type { Milestone } from './milestones.ts';
import { type Outcome, runScenario, runSideBySide, tail } from './run-scenario.ts';
import type { Scenario } from './scenario.ts';
import { SCENARIOS } from './scenarios.ts';

/** The columns between the result and the end. */
const COLUMNS: readonly Milestone[] = [
  'network',
  'download begins',
  'download ends',
  'root mounted',
  'switch-root',
];

const USAGE = 'usage: scripts/boot-test [--jobs=N] [--all | --list | --help | NAME ...]';

process.exitCode = await main();

/** Returns the exit status. */
async function main(): Promise<number> {
  const wanted = commandLine();
  if (typeof wanted === 'string') {
    console.error(`${wanted}\n${USAGE}`);
    return 2;
  }
  const { scenarios, list, help, jobs } = wanted;
  if (help) {
    console.log(USAGE);
    return 0;
  }
  if (list) {
    const width = Math.max(...SCENARIOS.map(({ name }) => name.length));
    for (const { name, title, core } of SCENARIOS)
      console.log(`${core === true ? 'core' : '    '}  ${name.padEnd(width)}  ${title}`);
    return 0;
  }
  const outcomes = await runAll(scenarios, jobs);
  printTable(outcomes);
  const failed = outcomes.filter(({ failure }) => failure !== undefined);
  for (const { scenario, failure, log } of failed)
    console.log(`\n${scenario.name}: ${failure}\nThe end of ${log}:\n${tail(log)}`);
  console.log(`\n${outcomes.length - failed.length} of ${outcomes.length} scenarios went as expected`);
  return failed.length === 0 ? 0 : 1;
}

interface Wanted {
  readonly scenarios: readonly Scenario[];
  readonly list: boolean;
  readonly help: boolean;
  /** How many machines at a time. */
  readonly jobs: number;
}

/** What is wanted, or what is wrong with the command line. */
function commandLine(): Wanted | string {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        all: { type: 'boolean' },
        list: { type: 'boolean' },
        help: { type: 'boolean' },
        jobs: { type: 'string', default: '2' },
      },
    });
    const { all = false, list = false, help = false } = values;
    const jobs = Number(values.jobs);
    if (!Number.isInteger(jobs) || jobs < 1) return `--jobs=${values.jobs} is no number of machines`;
    const unknown = positionals.find((name) => !SCENARIOS.some((scenario) => scenario.name === name));
    if (unknown !== undefined) return `there is no scenario "${unknown}"; --list shows all`;
    const scenarios = SCENARIOS.filter(
      ({ name, core }) => all || (positionals.length === 0 ? core === true : positionals.includes(name)),
    );
    return { scenarios, list, help, jobs };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function runAll(scenarios: readonly Scenario[], jobs: number): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const run = async (scenario: Scenario) => {
    console.log(`${scenario.name}: ${scenario.title} ...`);
    const outcome = await runScenario(scenario);
    outcomes.push(outcome);
    const result = outcome.failure === undefined ? 'as expected' : `FAILED: ${outcome.failure}`;
    console.log(`${scenario.name}: ${result}, after ${outcome.seconds.toFixed(0)} s`);
  };
  await runSideBySide(
    scenarios.filter(({ alone }) => alone !== true),
    jobs,
    run,
  );
  await runSideBySide(
    scenarios.filter(({ alone }) => alone === true),
    1,
    run,
  );
  return outcomes;
}

/** Seconds since the machine was switched on. */
function printTable(outcomes: readonly Outcome[]): void {
  const rows = [
    ['scenario', 'result', ...COLUMNS],
    ...outcomes.map(({ scenario, failure, times }) => [
      scenario.name,
      failure === undefined ? 'ok' : 'FAILED',
      ...COLUMNS.map((column) => times[column]?.toFixed(1) ?? '-'),
    ]),
  ];
  const widths = rows.reduce<number[]>(
    (most, row) => row.map((cell, column) => Math.max(cell.length, most[column] ?? 0)),
    [],
  );
  console.log('\nSeconds since the machine was switched on:');
  for (const row of rows)
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    );
  for (const { scenario, notes } of outcomes)
    for (const note of notes) console.log(`${scenario.name}: ${note}`);
}
