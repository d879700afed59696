import { describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import manifest from '../../package.json' with { type: 'json' };
import { rdpull } from '../fixtures/executable.ts';

/**
 * What help has to print, word for word. When it is to change, look at the difference as a user would, then:
 * `dist/rdpull pull --help > test/executable/help/pull.txt`
 */
const HELP = path.join(import.meta.dir, 'help');
const golden = (name: string) => fs.readFileSync(path.join(HELP, `${name}.txt`), 'utf8');
const said = (stdout: string) => ({ status: 0, signal: undefined, stdout, stderr: '' });

/** The commands that the overview names. */
const COMMANDS = [...golden('overview').matchAll(/^ {2}(?!rdpull)([a-z-]+) \S/gm)].map(
  ([, name = '']) => name,
);

test('--version is that of package.json', async () => {
  expect(await rdpull(['--version'])).toEqual(said(`rdpull ${manifest.version}\n`));
});

describe('the overview', () => {
  test.each(['--help', 'help'])('%s', async (spelling) => {
    expect(await rdpull([spelling])).toEqual(said(golden('overview')));
  });
});

describe('each command explains itself', () => {
  test.each(COMMANDS)('%s --help', async (command) => {
    expect(await rdpull([command, '--help'])).toEqual(said(golden(command)));
  });

  test('also when the rest of the command line is wrong, and starts nothing', async () => {
    const args = ['pull', '--verify=perhaps', 'http://127.0.0.1:1/x', '--help', 'y'];
    expect(await rdpull(args)).toEqual(said(golden('pull')));
  });

  test('and no text is left over', () => {
    const names = fs.readdirSync(HELP).map((name) => path.parse(name).name);
    expect(names.sort()).toEqual([...COMMANDS, 'overview'].sort());
  });
});

test('rdpull help COMMAND is the help of that command; behind -- it is an operand', async () => {
  const help = await rdpull(['help', 'verify']);
  expect(help.stdout).toStartWith('Usage: rdpull verify ');
  const operand = await rdpull(['verify', '--', '--help']);
  expect(operand.stdout).toBe('');
  expect(operand.stderr).toContain('--help');
});
