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

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    all: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    jobs: { type: 'string', default: '2' },
  },
});

if (values.list) {
  for (const { name, title, core } of SCENARIOS)
    console.log(`${name.padEnd(24)} ${core === true ? 'core ' : '     '}${title}`);
} else {
  const outcomes = await runAll(chosen(), Number(values.jobs));
  printTable(outcomes);
  const failed = outcomes.filter(({ failure }) => failure !== undefined);
  for (const { scenario, failure, log } of failed)
    console.log(`\n${scenario.name}: ${failure}\nThe end of ${log}:\n${tail(log)}`);
  console.log(`\n${outcomes.length - failed.length} of ${outcomes.length} scenarios went as expected`);
  process.exitCode = failed.length === 0 ? 0 : 1;
}

function chosen(): readonly Scenario[] {
  if (values.all) return SCENARIOS;
  if (positionals.length === 0) return SCENARIOS.filter(({ core }) => core === true);
  return positionals.map((name) => {
    const scenario = SCENARIOS.find((candidate) => candidate.name === name);
    if (scenario === undefined)
      throw new Error(`there is no scenario "${name}"; scripts/boot-test --list shows all`);
    return scenario;
  });
}

async function runAll(scenarios: readonly Scenario[], jobs: number): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  await runSideBySide(scenarios, jobs, async (scenario) => {
    console.log(`${scenario.name}: ${scenario.title} ...`);
    const outcome = await runScenario(scenario);
    outcomes.push(outcome);
    const result = outcome.failure === undefined ? 'as expected' : `FAILED: ${outcome.failure}`;
    console.log(`${scenario.name}: ${result}, after ${outcome.seconds.toFixed(0)} s`);
  });
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
