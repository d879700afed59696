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
  test.each(['--help', 'help', '--json help', 'help --json', 'help --quiet', 'help help', 'help --help'])(
    '%s',
    async (words) => {
      expect(await rdpull(words.split(' '))).toEqual(said(golden('overview')));
    },
  );
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
  expect(help).toEqual(said(golden('verify')));
  for (const words of [
    'help --json verify',
    '--json help verify',
    '--help verify',
    'help verify --verbose',
  ]) {
    expect(await rdpull(words.split(' '))).toEqual(help);
  }
  const operand = await rdpull(['verify', '--', '--help']);
  expect(operand.stdout).toBe('');
  expect(operand.stderr).toContain('--help');
});

test('rdpull help generate says what rdpull generate --help says; a switch before generate is refused', async () => {
  expect(await rdpull(['help', 'generate'])).toEqual(said(golden('generate')));
  const { status, stderr } = await rdpull(['--quiet', 'generate', '/nowhere']);
  expect(stderr).toStartWith('rdpull: error: rdpull generate takes no options, and so none before it\n');
  expect(status).toBe(2);
});

test('a switch alone is no command, and decides how that is said', async () => {
  const [plain, json] = [await rdpull([]), await rdpull(['--json'])];
  const error = { code: 'bad-argument', message: 'no command was given' };
  expect(JSON.parse(json.stdout)).toMatchObject({ error });
  expect(json).toMatchObject({ status: 2, stderr: plain.stderr });
});

test('behind -- no word is a switch', async () => {
  const { status, stdout, stderr } = await rdpull(['verify', '--', '--json']);
  expect(stderr).toMatch(/^rdpull: error: there is no file \/.*\/--json\n/);
  expect({ status, stdout }).toEqual({ status: 14, stdout: '' });
  const quiet = await rdpull(['verify', '--verify=checksum', '--', '--quiet', '--verbose']);
  expect(quiet.stderr).toMatch(
    /^rdpull: error: rdpull verify takes one FILE\|URL, and "--verbose" is one too many\n.*\n$/,
  );
});
