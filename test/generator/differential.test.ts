import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { systemdTree } from '../fixtures/systemd-tree.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { DIFFERENCES } from './differences.ts';
import { expectedOutcome } from './differential.ts';
import type { Case, Outcome } from './differential-case.ts';
import { commandLineCases, expressionCases } from './differential-generation.ts';
import { rdpullOutcome } from './differential-rdpull.ts';
import { SystemdGenerator } from './differential-systemd.ts';

const SEED = 262;
const EXPRESSIONS = 3000;
const COMMAND_LINES = 600;

/** Disagreements that a failure prints. */
const SHOWN = 20;

/** Generators that run at the same time. */
const PARALLEL = 2;

interface Disagreement {
  readonly case: Case;
  readonly systemd: Outcome;
  readonly expected: Outcome;
  readonly rdpull: Outcome;
}

interface Comparison {
  readonly disagreements: Disagreement[];
  /** The number of transfers that systemd made of all cases. */
  readonly transfers: number;
}

describe("systemd 262's generator and rdpull", () => {
  const generators: SystemdGenerator[] = [];
  const efivars = new TemporaryDirectory();
  /** What each listed difference has changed: the number of cases in which systemd and rdpull differ because of it. */
  const occurrences = new Map(DIFFERENCES.map((difference) => [difference.what, 0]));

  beforeAll(async () => {
    const tree = systemdTree('forky');
    for (let started = 0; started < PARALLEL; started++) generators.push(await SystemdGenerator.start(tree));
  }, 120_000);

  afterAll(() => {
    for (const generator of generators) generator[Symbol.dispose]();
    efivars[Symbol.dispose]();
  });

  /** Runs both sides on all cases. */
  async function compare(cases: readonly Case[]): Promise<Comparison> {
    const disagreements: Disagreement[] = [];
    let transfers = 0;
    const queue = cases.values();
    const work = async (generator: SystemdGenerator) => {
      for (const each of queue) {
        const applied: string[] = [];
        const expected = await expectedOutcome(
          each,
          (other) => generator.run(other),
          ({ what }) => applied.push(what),
        );
        const systemd = applied.length === 0 ? expected : await generator.run(each);
        const rdpull = rdpullOutcome(each, efivars.path);
        if (systemd !== 'aborted') transfers += systemd.length;
        if (!Bun.deepEquals(systemd, rdpull)) {
          for (const what of applied) occurrences.set(what, (occurrences.get(what) ?? 0) + 1);
        }
        if (!Bun.deepEquals(expected, rdpull)) disagreements.push({ case: each, systemd, expected, rdpull });
      }
    };
    await Promise.all(generators.map(work));
    return { disagreements, transfers };
  }

  test(`agree on ${EXPRESSIONS} expressions, but for the listed differences`, async () => {
    const { disagreements, transfers } = await compare(expressionCases(SEED, EXPRESSIONS));
    expect(disagreements.slice(0, SHOWN)).toEqual([]);
    expect(transfers).toBeGreaterThan(EXPRESSIONS / 3);
  }, 120_000);

  test(`agree on ${COMMAND_LINES} command lines, but for the listed differences`, async () => {
    const { disagreements, transfers } = await compare(commandLineCases(SEED, COMMAND_LINES));
    expect(disagreements.slice(0, SHOWN)).toEqual([]);
    expect(transfers).toBeGreaterThan(COMMAND_LINES);
  }, 120_000);

  test('differ in everything that is listed', () => {
    expect([...occurrences].filter(([, count]) => count === 0)).toEqual([]);
  });
});
