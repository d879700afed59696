import { describe, expect, test } from 'bun:test';
import {
  kernelParameters,
  pullParameters,
  sameKey,
  splitWords,
} from '../../src/request/kernel-command-line.ts';
import { SeededRandom } from './seeded-random.ts';

describe('splitting into words', () => {
  test.each<[string, string[]]>([
    [
      'foo_bar=quux wuff-piep=tuet zumm some_arg_with_space=\'foo bar\' and_one_more="zzz aaa"',
      ['foo_bar=quux', 'wuff-piep=tuet', 'zumm', 'some_arg_with_space=foo bar', 'and_one_more=zzz aaa'],
    ],
    [
      'wuff-piep="tuet " rd.zumm space=\'x y z\' miepf="uuu"',
      ['wuff-piep=tuet ', 'rd.zumm', 'space=x y z', 'miepf=uuu'],
    ],
    [`ticks="''"`, ["ticks=''"]],
    ['doubleticks=" aaa aaa "', ['doubleticks= aaa aaa ']],
    ["zummm='\n'", ['zummm=\n']],
    ['a\n\n\nb\n', ['a', 'b']],
    ['  a \t\r\n b  ', ['a', 'b']],
    ["x='unterminated a b", ['x=unterminated a b']],
    ['a\\ b c', ['a\\', 'b', 'c']],
    [`x="a b"c 'd e'`, ['x=a bc', 'd e']],
    ["a '' b", ['a', '', 'b']],
    ['"rd.systemd.pull=raw machine"', ['rd.systemd.pull=raw machine']],
    ['', []],
  ])('%j', (commandLine, words) => {
    expect(splitWords(commandLine)).toEqual(words);
  });

  test('survives 2000 random lines, and finds no separator in a line without quotes', () => {
    const random = new SeededRandom(1);
    for (let round = 0; round < 2000; round++) {
      const line = random.text(["'", '"', ' ', '\n', '\\', 'a', '=', 'rd.', 'systemd.pull', '\0', 'ä'], 40);
      const words = splitWords(line);
      expect(words.join('').length).toBeLessThanOrEqual(line.length);
      if (!/['"]/.test(line)) expect(words).toEqual(line.split(/[ \t\r\n]+/).filter((word) => word !== ''));
    }
  });
});

describe('keys', () => {
  test.each<[string, string, boolean]>([
    ['x-y-z', 'x_y_z', true],
    ['x-y-z', 'x-y_z', true],
    ['x_y_z', 'x-y_z', true],
    ['x_y-z', 'x-z_z', false],
    ['systemd.pull', 'Systemd.pull', false],
    ['systemd.pull', 'systemd.pul', false],
  ])('%s and %s: %p', (one, other, same) => {
    expect(sameKey(one, other)).toBe(same);
    expect(sameKey(other, one)).toBe(same);
  });

  test('are split from their values at the first "="', () => {
    expect(kernelParameters('a=b=c d e= =f', false)).toEqual([
      { key: 'a', value: 'b=c' },
      { key: 'd', value: undefined },
      { key: 'e', value: '' },
      { key: '', value: 'f' },
    ]);
  });
});

describe('the rd. rule', () => {
  const commandLine = 'rd.systemd.pull=initrd systemd.pull=host rd.rd.systemd.pull=neither rd.zumm';

  test('in the initrd, only words with the prefix count, and lose it once', () => {
    expect(kernelParameters(commandLine, true)).toEqual([
      { key: 'systemd.pull', value: 'initrd' },
      { key: 'rd.systemd.pull', value: 'neither' },
      { key: 'zumm', value: undefined },
    ]);
    expect(pull(commandLine, true).expressions).toEqual(['initrd']);
  });

  test('on the host, only words without the prefix count', () => {
    expect(kernelParameters(commandLine, false)).toEqual([{ key: 'systemd.pull', value: 'host' }]);
    expect(pull(commandLine, false).expressions).toEqual(['host']);
  });
});

describe('systemd.pull', () => {
  test('yields every expression, in order, and the empty one for the parser to refuse', () => {
    expect(pull('rd.systemd.pull=b rd.systemd.pull= quiet rd.systemd.pull="a c"', true)).toEqual({
      expressions: ['b', '', 'a c'],
      successAction: undefined,
      failureAction: undefined,
      cache: undefined,
      warnings: [],
    });
  });

  test('without a value is ignored with a warning', () => {
    expect(pull('rd.systemd.pull', true)).toMatchObject({
      expressions: [],
      warnings: ['rd.systemd.pull on the kernel command line is ignored: "=" and a value are missing'],
    });
  });

  test('does not read its neighbours', () => {
    expect(pull('rd.systemd.pullx=a rd.systemd.pul=b rd.systemd=c root=/dev/sda', true)).toMatchObject({
      expressions: [],
      warnings: [],
    });
  });
});

describe('the actions', () => {
  test('the last one wins, spelled with - or _', () => {
    expect(
      pull(
        'rd.systemd.pull.success_action=reboot rd.systemd.pull.failure-action=poweroff rd.systemd.pull.success-action=exit-force',
        true,
      ),
    ).toMatchObject({ successAction: 'exit-force', failureAction: 'poweroff', warnings: [] });
  });

  test('an empty one takes back those before it', () => {
    expect(pull('systemd.pull.success_action=reboot systemd.pull.success_action=', false)).toMatchObject({
      successAction: undefined,
      warnings: [],
    });
  });

  test('a misspelt one is ignored with the nearest valid one', () => {
    expect(pull('systemd.pull.failure_action=none systemd.pull.failure_action=rebot', false)).toMatchObject({
      failureAction: 'none',
      warnings: [
        'systemd.pull.failure_action="rebot" on the kernel command line is ignored: no such action, did you mean "reboot"?',
      ],
    });
  });

  test('one that would write lines of its own into the unit is ignored and shown escaped', () => {
    const { failureAction, warnings } = pull(
      "rd.systemd.pull.failure_action='none\n[Service]\nExecStart=/bin/sh \x1b[2J'",
      true,
    );
    expect(failureAction).toBeUndefined();
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toStartWith(
      'rd.systemd.pull.failure_action="none\\x0a[Service]\\x0aExecStart=/bin/sh \\x1b[2J" on the kernel command line is ' +
        'ignored: no such action, valid are none, reboot, ',
    );
  });
});

function pull(commandLine: string, inInitrd: boolean) {
  const warnings: string[] = [];
  return { ...pullParameters(commandLine, inInitrd, (message) => warnings.push(message)), warnings };
}
