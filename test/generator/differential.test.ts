import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { systemdTree } from '../fixtures/systemd-tree.ts';
import { DIFFERENCES } from './differences.ts';
import { expectedOutcome } from './differential.ts';
import type { Case, Outcome } from './differential-case.ts';
import { commandLineCases, credentialCases, expressionCases } from './differential-generation.ts';
import { RdpullGenerator } from './differential-rdpull.ts';
import { SystemdGenerator } from './differential-systemd.ts';

const SEED = 262;

/** Disagreements that a failure prints. */
const SHOWN = 20;

/** Both generators, as often as there is something to do at the same time. */
const PARALLEL = 2;

interface Pair {
  readonly systemd: SystemdGenerator;
  readonly rdpull: RdpullGenerator;
}

interface Disagreement {
  readonly case: Case;
  readonly systemd: Outcome;
  readonly expected: Outcome;
  readonly rdpull: Outcome;
}

describe("systemd 262's generator and rdpull's", () => {
  const pairs: Pair[] = [];
  /** In how many cases the two differ because of each listed difference. */
  const occurrences = new Map(DIFFERENCES.map(({ what }) => [what, 0]));

  beforeAll(async () => {
    const tree = systemdTree('forky');
    for (let started = 0; started < PARALLEL; started++) {
      pairs.push({ systemd: await SystemdGenerator.start(tree), rdpull: new RdpullGenerator() });
    }
  }, 120_000);

  afterAll(() => {
    for (const { systemd, rdpull } of pairs) {
      systemd[Symbol.dispose]();
      rdpull[Symbol.dispose]();
    }
  });

  /** Fails unless rdpull does with every case what systemd and the list say, and systemd pulls in enough of them. */
  async function expectAgreement(
    cases: readonly Case[],
    ask: (rdpull: RdpullGenerator, each: Case) => Outcome | Promise<Outcome>,
    fewestTransfers: number,
  ): Promise<void> {
    const disagreements: Disagreement[] = [];
    let transfers = 0;
    const queue = cases.values();
    const work = async (pair: Pair) => {
      for (const each of queue) {
        const rdpull = await ask(pair.rdpull, each);
        const applied: string[] = [];
        let systemd: Outcome | undefined;
        const expected = await expectedOutcome(each, rdpull, {
          systemd: async (other) => {
            if (other !== each) return pair.systemd.run(other);
            systemd ??= await pair.systemd.run(each);
            return systemd;
          },
          applied: ({ what }) => applied.push(what),
        });
        systemd ??= await pair.systemd.run(each);
        if (systemd !== 'aborted') transfers += systemd.length;
        if (!Bun.deepEquals(systemd, rdpull)) {
          for (const what of applied) occurrences.set(what, (occurrences.get(what) ?? 0) + 1);
        }
        if (!Bun.deepEquals(expected, rdpull)) disagreements.push({ case: each, systemd, expected, rdpull });
      }
    };
    await Promise.all(pairs.map(work));
    expect(disagreements.slice(0, SHOWN).map((each) => JSON.stringify(each))).toEqual([]);
    expect(transfers).toBeGreaterThan(fewestTransfers);
  }

  test('agree on 2500 expressions, but for the listed differences', async () => {
    await expectAgreement(expressionCases(SEED, 2500), (rdpull, each) => rdpull.plan(each), 1000);
  }, 120_000);

  test('agree on 500 command lines, but for the listed differences', async () => {
    await expectAgreement(commandLineCases(SEED, 500), (rdpull, each) => rdpull.plan(each), 800);
  }, 120_000);

  test('agree on 200 credentials, but for the listed differences', async () => {
    await expectAgreement(credentialCases(SEED, 200), (rdpull, each) => rdpull.plan(each), 300);
  }, 120_000);

  test('agree when it is the executable that runs, on all of these', async () => {
    const cases = [
      ...expressionCases(SEED + 1, 120),
      ...commandLineCases(SEED + 1, 80),
      ...credentialCases(SEED + 1, 40),
    ];
    await expectAgreement(cases, (rdpull, each) => rdpull.run(each), 200);
  }, 120_000);

  test('differ in everything that is listed', () => {
    expect([...occurrences].filter(([, count]) => count === 0)).toEqual([]);
  });
});
