import { beforeAll, describe, expect, test } from 'bun:test';
import { type Outcome, runScenario, runSideBySide, tail } from './run-scenario.ts';
import { SCENARIOS } from './scenarios.ts';

/** With the trees and initrds that have to be made the first time, ms. */
const TIMEOUT = 20 * 60 * 1000;

const CORE = SCENARIOS.filter(({ core }) => core === true);

/** Those that scripts/test runs; scripts/boot-test --all runs all. */
describe('a virtual machine boots as it should', () => {
  const outcomes = new Map<string, PromiseWithResolvers<Outcome>>(
    CORE.map(({ name }) => [name, Promise.withResolvers<Outcome>()]),
  );

  beforeAll(() => {
    void runSideBySide(CORE, 2, async (scenario) => {
      const outcome = await runScenario(scenario);
      outcomes.get(scenario.name)?.resolve(outcome);
    });
  });

  test.each(CORE.map((scenario) => [scenario.name, scenario.title] as const))(
    '%s: %s',
    async (name, _title) => {
      const outcome = await outcomes.get(name)?.promise;
      const console = outcome === undefined ? '' : tail(outcome.log);
      expect({ failure: outcome?.failure, console }).toEqual({ failure: undefined, console });
    },
    TIMEOUT,
  );
});
