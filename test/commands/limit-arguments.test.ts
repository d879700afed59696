import { describe, expect, test } from 'bun:test';
import type { Command } from '../../src/commands/command.ts';
import { parseCommandLine } from '../../src/commands/command-line.ts';
import { LIMIT_OPTION, limits } from '../../src/commands/limit-arguments.ts';
import { RdpullError } from '../../src/console/rdpull-error.ts';
import { DEFAULT_LIMITS, LIMITS } from '../../src/transfer/limits.ts';

const command: Command = {
  name: 'pull',
  operand: 'URL',
  summary: '',
  description: '',
  options: [LIMIT_OPTION],
  run: () => Promise.resolve(),
};

const parse = (...values: string[]) =>
  limits(parseCommandLine(command, [...values.map((value) => `--limit=${value}`), 'http://h/x']));

function refusal(value: string): string[] {
  try {
    parse(value);
  } catch (error) {
    if (error instanceof RdpullError) return [error.code, error.message, error.hint];
  }
  throw new Error('expected a refusal');
}

describe('--limit', () => {
  test('left out means the defaults', () => {
    expect(parse()).toEqual(DEFAULT_LIMITS);
    for (const [name, { default: value }] of Object.entries(LIMITS)) {
      expect(Object.entries(DEFAULT_LIMITS)).toContainEqual([name, value]);
    }
  });

  test.each([
    ['size=1', { size: 1 }],
    ['size=12K', { size: 12 * 1024 }],
    ['size=12m', { size: 12 * 1024 ** 2 }],
    ['download=3G', { download: 3 * 1024 ** 3 }],
    ['download=4T', { download: 4 * 1024 ** 4 }],
    ['ratio=1000', { ratio: 1000 }],
    ['entries=100', { entries: 100 }],
    ['redirects=100', { redirects: 100 }],
    ['path=4095', { path: 4095 }],
  ])('%s', (value, expected) => {
    expect(parse(value)).toEqual({ ...DEFAULT_LIMITS, ...expected });
  });

  test('can be given for several names; of two for one the last holds', () => {
    expect(parse('size=1G', 'depth=5', 'size=2G')).toEqual({
      ...DEFAULT_LIMITS,
      size: 2 * 1024 ** 3,
      depth: 5,
    });
  });

  test('of a name that is misspelt is answered with the nearest', () => {
    expect(refusal('sise=1G')).toEqual([
      'bad-option',
      'there is no limit "sise"',
      'did you mean --limit=size=1G?',
    ]);
    expect(refusal('redirect')[2]).toBe('did you mean --limit=redirects=VALUE?');
  });

  test('of a name that is like none is answered with all', () => {
    expect(refusal('nonsense=1')[2]).toBe(
      'valid are download, size, ratio, entries, path, depth, xattr, file, redirects',
    );
    expect(refusal('=1')[1]).toBe('there is no limit ""');
    expect(refusal('toString=1')[1]).toBe('there is no limit "toString"');
  });

  test('without a value is answered with the default', () => {
    expect(refusal('download')).toEqual([
      'bad-option',
      '--limit=download has no value',
      'write --limit=download=VALUE; the default is 1T',
    ]);
  });

  test.each([
    'size=',
    'size=0',
    'size=-1',
    'size=1.5G',
    'size=1GB',
    'size=99999T',
    'size=x',
    'path=4096',
    'size=1 G',
  ])('%s is refused, and says what is possible', (value) => {
    expect(refusal(value)[1]).toBe(`--limit=${value} is not valid`);
    expect(refusal(value)[2]).toMatch(
      /^give a number from 1 to \S+, with or without a suffix \(K, M, G, T\)$/,
    );
  });

  test('and its defaults are in the help', () => {
    for (const name of Object.keys(LIMITS))
      expect(LIMIT_OPTION.help).toMatch(new RegExp(`${name} \\(.*?\\): \\d`));
  });
});
