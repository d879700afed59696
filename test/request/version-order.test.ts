import { describe, expect, test } from 'bun:test';
import { compareVersions } from '../../src/request/version-order.ts';
import { run } from '../fixtures/run.ts';
import { SeededRandom } from '../request/seeded-random.ts';

const OPERATORS: Readonly<Record<string, string>> = { '<': '-1', '==': '0', '>': '1' };

/** What systemd makes of many pairs, in one process for all of them. */
function systemdsOrder(pairs: readonly (readonly [string, string])[]): string[] {
  const script =
    'while read -r one other; do systemd-analyze compare-versions -- "$one" "$other"; done; true';
  const lines = run(['sh', '-c', script], {
    input: Buffer.from(`${pairs.map((pair) => pair.join(' ')).join('\n')}\n`),
  });
  return lines
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) => OPERATORS[/ (<|==|>) /.exec(line)?.[1] ?? ''] ?? line);
}

describe('versions are in the order that systemd-analyze compare-versions has', () => {
  test('for those that people write, and for any others', () => {
    const written = [
      '1',
      '2',
      '10',
      '1.0',
      '1.0.1',
      '1-2',
      '1~rc1',
      '1^a',
      '01',
      'a',
      'ab',
      'B',
      '20261129T101112',
      '1.ab12',
    ];
    const random = new SeededRandom(17);
    const any = Array.from({ length: 40 }, () =>
      Array.from({ length: 1 + random.below(6) }, () =>
        random.pick(['0', '1', '9', '~', '-', '^', '.', 'a', 'Z', '_']),
      ).join(''),
    );
    const pairs: [string, string][] = [
      ...written.flatMap((one, at) => written.slice(at).map((other): [string, string] => [one, other])),
      ...any.map((one, at): [string, string] => [one, any[(at + 1) % any.length] ?? '']),
    ];
    const ours = pairs.map(([one, other]) => String(compareVersions(one, other)));
    expect(ours).toEqual(systemdsOrder(pairs));
  });
});
