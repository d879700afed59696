import { describe, expect, test } from 'bun:test';
import type { Command } from '../../src/commands/command.ts';
import { parseCommandLine } from '../../src/commands/command-line.ts';
import { RdpullError } from '../../src/console/rdpull-error.ts';

const command: Command = {
  name: 'pull',
  operand: 'URL',
  summary: '',
  description: '',
  options: [
    { name: 'verify', value: 'MODE', help: '' },
    { name: 'keyring', value: 'FILE', repeatable: true, help: '' },
    { name: 'force', help: '' },
  ],
  run: () => Promise.resolve(),
};

const parse = (...args: string[]) => parseCommandLine(command, args);

function refusal(...args: string[]): string[] {
  try {
    parse(...args);
  } catch (error) {
    if (error instanceof RdpullError) return [error.message, error.hint];
  }
  throw new Error('expected a refusal');
}

describe('options', () => {
  test('with = and without, before and behind the operand', () => {
    const line = parse('--verify=no', 'http://h/x', '--keyring', 'a', '--keyring=b', '--force');
    expect(line.operand).toBe('http://h/x');
    expect(line.value('verify')).toBe('no');
    expect(line.values('keyring')).toEqual(['a', 'b']);
    expect(line.has('force')).toBe(true);
    expect(line.has('quiet')).toBe(false);
    expect(line.value('local')).toBeUndefined();
  });

  test('of one value: the last one wins', () => {
    expect(parse('--verify=no', '--verify=yes', 'x').value('verify')).toBe('yes');
  });

  test('end at --', () => {
    expect(parse('--', '--force').operand).toBe('--force');
  });
});

test('an operand that is optional may be left out', () => {
  const optional: Command = { ...command, operandIsOptional: true };
  expect(parseCommandLine(optional, ['--force']).operand).toBe('');
  expect(parseCommandLine(optional, ['x']).operand).toBe('x');
  expect(() => parseCommandLine(optional, ['x', 'y'])).toThrow('"y" is one too many');
});

describe('what is wrong is said, with the nearest option', () => {
  test.each([
    [['--verfy=no', 'x'], 'rdpull pull has no option --verfy', 'did you mean --verify?'],
    [['--Force', 'x'], 'rdpull pull has no option --Force', 'did you mean --force?'],
    [['--zzz', 'x'], 'rdpull pull has no option --zzz', 'rdpull pull --help lists its options'],
    [['-q', 'x'], 'rdpull pull has no option -q', 'did you mean --quiet?'],
    [['--verify=', 'x'], '--verify needs a value: --verify=MODE', 'rdpull pull --help lists what it takes'],
    [['--keyring'], '--keyring needs a value: --keyring=FILE', 'rdpull pull --help lists what it takes'],
    [['--force=yes', 'x'], '--force takes no value', 'write --force alone'],
    [[], 'rdpull pull needs URL', 'rdpull pull --help lists what it takes'],
    [
      ['a', 'b c'],
      'rdpull pull takes one URL, and "b c" is one too many',
      'put what contains spaces into quotes',
    ],
  ])('%j', (args, message, hint) => {
    expect(refusal(...args)).toEqual([message, hint]);
  });

  test('without passing control characters on', () => {
    expect(refusal('--\x1b[31mred', 'x')[0]).toBe('rdpull pull has no option --\\x1b[31mred');
  });
});
