import { afterAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { quoteArgument, settingDefect, unitText } from '../../src/generator/unit-text.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const directory = new TemporaryDirectory();
afterAll(() => directory[Symbol.dispose]());

const ARGUMENTS = [
  'plain',
  '--local=root',
  'http://h/a%20b%25',
  '%n%%%i',
  'two words',
  ' leading and trailing ',
  "it's",
  '"quoted"',
  'back\\slash\\x20\\n\\\\',
  'ends with\\',
  '$HOME $$ $\x7bHOME}',
  ';',
  '\\;',
  '-',
  '@',
  '!!+:',
  '#',
  '[Service]',
  'ä € 𝄞',
  '*?[a-z]{b,c}~',
  '|&<>()`',
  '',
];

/** The arguments that systemd itself reads out of a unit's ExecStart=, unquoted from its dump by a shell. */
function argumentsReadBySystemd(unit: string): string[][] {
  fs.chmodSync(directory.path, 0o755);
  fs.writeFileSync(directory.file('t.service'), unit);
  // systemd refuses to test as root.
  const dump = run(
    [
      'setpriv',
      '--reuid=65534',
      '--regid=65534',
      '--clear-groups',
      '/lib/systemd/systemd',
      '--test',
      '--system',
      '--unit=t.service',
    ],
    {
      env: {
        PATH: process.env['PATH'] ?? '',
        SYSTEMD_UNIT_PATH: `${directory.path}:/usr/lib/systemd/system`,
      },
    },
  ).toString();
  const [, own = ''] = dump.split('-> Unit t.service:');
  const [described = ''] = own.split('-> Unit ');
  return [...described.matchAll(/^\s*Command Line: (.*)$/gm)].map(([, line = '']) =>
    run(['bash', '-c', `printf '%s\\0' ${line.replaceAll(' #', ' \\#')}`])
      .toString()
      .split('\0')
      .slice(0, -1),
  );
}

describe('an argument of ExecStart=', () => {
  test('arrives as it is, whatever is in it', () => {
    const unit = unitText(
      [],
      [
        {
          name: 'Service',
          settings: [
            ['Type', 'oneshot'],
            ...ARGUMENTS.map(
              (argument) => ['ExecStart', [':/bin/true', argument].map(quoteArgument).join(' ')] as const,
            ),
            ['ExecStart', [':/bin/true', ...ARGUMENTS].map(quoteArgument).join(' ')],
          ],
        },
      ],
    );
    expect(argumentsReadBySystemd(unit)).toEqual([
      ...ARGUMENTS.map((argument) => ['/bin/true', argument]),
      ['/bin/true', ...ARGUMENTS],
    ]);
  });

  test('stays readable where it can: nothing is quoted without need', () => {
    expect(quoteArgument('--local=root')).toBe('--local=root');
    expect(quoteArgument('http://h/a%20b')).toBe('http://h/a%%20b');
    expect(quoteArgument("it's")).toBe(`"it's"`);
  });
});

describe('a unit file', () => {
  test('never gets a line that a value brings along', () => {
    for (const value of [
      'a\nExecStart=/bin/evil',
      'a\rb',
      'a\0b',
      'ends in a backslash\\',
      ' space',
      'space ',
    ]) {
      expect(settingDefect(value)).toBeString();
      expect(() => unitText([], [{ name: 'Unit', settings: [['Description', value]] }])).toThrow(
        'for a unit file',
      );
      expect(() => unitText([value], [])).toThrow('for a unit file');
    }
  });

  test('has one line for what only Unicode takes for several', () => {
    const value = 'a\u2028 b\u2029= c \u2028\\\u2028x';
    expect(unitText([value], [{ name: 'Unit', settings: [['Description', value]] }])).toBe(
      `# ${value}\n\n[Unit]\nDescription=${value}\n`,
    );
  });

  test('is laid out for people', () => {
    expect(
      unitText(
        ['Made by hand', 'twice'],
        [
          { name: 'Unit', settings: [['Description', 'x']] },
          {
            name: 'Mount',
            settings: [
              ['What', '/a'],
              ['Where', '/b'],
            ],
          },
        ],
      ),
    ).toBe('# Made by hand\n# twice\n\n[Unit]\nDescription=x\n\n[Mount]\nWhat=/a\nWhere=/b\n');
  });
});
