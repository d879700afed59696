import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { bashCompletion } from '../../scripts/completion-bash.ts';
import { fishCompletion } from '../../scripts/completion-fish.ts';
import { COMPLETED_COMMANDS, type CompletedCommand } from '../../scripts/completion-words.ts';
import { zshCompletion } from '../../scripts/completion-zsh.ts';
import { InteractiveShell, PROMPT } from '../fixtures/interactive-shell.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const ROOT = path.resolve(import.meta.dir, '../..');
const COMPLETIONS = `${ROOT}/dist/completions`;

/** How the tests ask a shell. */
interface Shell extends AsyncDisposable {
  /** What it offers when `line` is completed, without what is typed already. */
  offers(line: string): Promise<readonly string[]>;
  /** The words of `line` after it was completed as far as it goes. */
  completes(line: string): Promise<readonly string[]>;
}

const home = new TemporaryDirectory();
beforeAll(() => {
  run([`${ROOT}/scripts/completions`]);
  home.write('my key.pgp', '');
  home.write('image.raw', new Uint8Array(1 << 20));
  fs.mkdirSync(home.file('a dir'));
});
afterAll(() => home[Symbol.dispose]());

/** @param setUp what makes the completion known: lines of a file that bash reads at its start */
function bash(setUp: string): Shell {
  const reply = home.file('reply');
  const settings = `${setUp}
PS1='${PROMPT}'
probe() { _rdpull "$@"; printf '%s\\n' "\${COMPREPLY[@]}" >${reply}; }`;
  const shell = new InteractiveShell(
    ['bash', '--noprofile', '--rcfile', home.write('bashrc', settings), '-i'],
    home.path,
  );
  return {
    async offers(line) {
      await shell.type(`complete -F probe rdpull\r${line}\t`);
      await shell.type('complete -F _rdpull rdpull\r');
      const words = fs.readFileSync(reply, 'utf8').split('\n');
      return words.map((word) => word.trim()).filter(Boolean);
    },
    completes: (line) => shell.complete(line),
    [Symbol.asyncDispose]: () => shell[Symbol.asyncDispose](),
  };
}

/** @param completions the directory with the function */
function zshSettings(completions: string): string {
  return `fpath=(${completions} $fpath)
autoload -Uz compinit
compinit -u -D
PROMPT='${PROMPT}'
LISTMAX=10000
unset zle_bracketed_paste
bindkey '^D' list-choices
`;
}

function zsh(): Shell {
  home.write('.zshrc', zshSettings(COMPLETIONS));
  const shell = new InteractiveShell(['zsh', '-d', '-i'], home.path, { ZDOTDIR: home.path });
  return {
    async offers(line) {
      const screen = await shell.type(`${line}\x04`);
      // Between two escape sequences: "erase below", "go up again".
      const [, list = ''] = /\x1b\[J((?:(?!\x1b\[J)[\s\S])*?)\x1b\[\d*A/u.exec(screen) ?? [];
      return list
        .replaceAll('\x1b[K', '')
        .split(/\r*\n/)
        .flatMap((row) => (row.includes(' -- ') ? row.slice(0, row.indexOf(' -- ')) : row).split(/ {2,}/))
        .map((word) => word.trim().replaceAll('\\ ', ' '))
        .filter(Boolean);
    },
    completes: (line) => shell.complete(line),
    [Symbol.asyncDispose]: () => shell[Symbol.asyncDispose](),
  };
}

function fish(): Shell {
  const ask = (line: string) =>
    run(['fish', '--no-config', '-c', `source ${COMPLETIONS}/rdpull.fish; complete -C $argv[1]`, line], {
      cwd: home.path,
      env: { PATH: process.env['PATH'], HOME: home.path, LC_ALL: 'C.UTF-8' },
    })
      .toString()
      .split('\n')
      .filter(Boolean);
  const offers = (line: string) => ask(line).map((row) => row.split('\t')[0] ?? '');
  return {
    // fish answers with whole words; what stands before the value is the same in all.
    offers: (line) => Promise.resolve(offers(line).map((word) => word.replace(/^--[a-z-]+=(?=.)/, ''))),
    completes(line) {
      const words = line.split(/ (?=[^ ]*$)/)[0]?.split(' ') ?? [];
      const [only, ...others] = offers(line);
      const typed = line.slice(line.lastIndexOf(' ') + 1);
      return Promise.resolve([...words, only === undefined || others.length > 0 ? typed : only]);
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

describe.each([
  ['bash alone', () => bash(`source ${COMPLETIONS}/rdpull`)],
  [
    'bash with the package bash-completion',
    () => bash(`source /usr/share/bash-completion/bash_completion; source ${COMPLETIONS}/rdpull`),
  ],
  ['zsh', zsh],
  ['fish', fish],
] as const)('%s', (_, start) => {
  let shell: Shell;
  beforeAll(() => {
    shell = start();
  });
  afterAll(() => shell[Symbol.asyncDispose]());

  test('offers the commands', async () => {
    const names = COMPLETED_COMMANDS.map(({ name }) => name);
    expect([...(await shell.offers('rdpull '))].sort()).toEqual([...names].sort());
    expect(await shell.completes('rdpull pu')).toEqual(['rdpull', 'pull']);
    expect(await shell.completes('rdpull --json pu')).toEqual(['rdpull', '--json', 'pull']);
    expect(await shell.completes('rdpull help att')).toEqual(['rdpull', 'help', 'attach']);
  });

  test('offers every option of every command', async () => {
    for (const { name, options } of COMPLETED_COMMANDS) {
      if (options.length === 0) continue;
      const all = options.map((option) => `--${option.name}`).sort();
      const words = [...(await shell.offers(`rdpull ${name} --`))].map((word) => word.replace(/=$/, ''));
      // fish offers what may have a value with and without it.
      const offered = [...new Set(words)];
      // Where there is but one, zsh writes it at once.
      if (all.length > 1) expect(offered.sort()).toEqual(all);
      const last = all.at(-1) ?? '';
      const [, , written = ''] = await shell.completes(`rdpull ${name} ${last}`);
      expect(written.replace(/=$/, '')).toBe(last);
    }
  });

  test.each(['=', ' '])('offers the values of an option behind "%s"', async (separator) => {
    const modes = await shell.offers(`rdpull pull --verify${separator}`);
    expect([...modes].sort()).toEqual(['checksum', 'no', 'sha256:', 'signature', 'yes']);
    const words = await shell.completes(`rdpull pull --verify${separator}si`);
    expect(words.join(' ')).toBe(`rdpull pull --verify${separator}signature`);
    const limit = await shell.completes(`rdpull pull --limit${separator}downl`);
    expect(limit.join(' ')).toBe(`rdpull pull --limit${separator}download=`);
  });

  test.each(['=', ' '])('finds files and directories behind "%s"', async (separator) => {
    const key = await shell.completes(`rdpull pull --keyring${separator}my`);
    expect(key.join(' ').replaceAll('\\', '')).toBe(`rdpull pull --keyring${separator}my key.pgp`);
    const directory = await shell.completes(`rdpull pull --bind${separator}a`);
    expect(directory.join(' ').replaceAll('\\', '').replace(/\/$/, '')).toBe(
      `rdpull pull --bind${separator}a dir`,
    );
    // What is no directory is not offered in place of one.
    const none = await shell.completes(`rdpull pull --image-root${separator}ima`);
    expect(none.join(' ')).toBe(`rdpull pull --image-root${separator}ima`);
  });

  test('finds the files that a command takes', async () => {
    expect(await shell.completes('rdpull attach ima')).toEqual(['rdpull', 'attach', 'image.raw']);
    expect(await shell.completes('rdpull detach ima')).toEqual(['rdpull', 'detach', 'image.raw']);
    expect(await shell.completes('rdpull verify --json ima')).toEqual([
      'rdpull',
      'verify',
      '--json',
      'image.raw',
    ]);
  });

  test('offers the loop devices that are in use', async () => {
    const device = run(['losetup', '--find', '--show', home.file('image.raw')])
      .toString()
      .trim();
    try {
      const offered = await shell.offers('rdpull detach ');
      expect(offered).toContain(device);
      expect(offered).toContain('image.raw');
      expect(await shell.completes(`rdpull detach ${device}`)).toEqual(['rdpull', 'detach', device]);
    } finally {
      run(['losetup', '--detach', device]);
    }
    expect(await shell.offers('rdpull detach ')).not.toContain(device);
  });

  test('knows how a URL begins, whose colon is no end of a word', async () => {
    expect(await shell.completes('rdpull pull https')).toEqual(['rdpull', 'pull', 'https://']);
    expect(await shell.completes('rdpull pull file:')).toEqual(['rdpull', 'pull', 'file:///']);
    expect(await shell.completes('rdpull pull --mirror=file:')).toEqual([
      'rdpull',
      'pull',
      '--mirror=file:///',
    ]);
  });

  test('offers an option that was given only where it may come again', async () => {
    const offered = await shell.offers('rdpull pull --json --type=raw --class machine --keyring=x --');
    const names = offered.map((word) => word.replace(/=$/, ''));
    expect(names).toContain('--keyring');
    expect(names).toContain('--quiet');
    for (const given of ['--json', '--type', '--class']) expect(names).not.toContain(given);
  });

  test('offers no option behind --, and no second operand', async () => {
    expect(await shell.completes('rdpull pull -- --verif')).toEqual(['rdpull', 'pull', '--', '--verif']);
    expect(await shell.completes('rdpull attach -- ima')).toEqual(['rdpull', 'attach', '--', 'image.raw']);
    expect(await shell.completes('rdpull attach x ima')).toEqual(['rdpull', 'attach', 'x', 'ima']);
    expect(await shell.completes('rdpull nosuch --verif')).toEqual(['rdpull', 'nosuch', '--verif']);
  });
});

test('fish and zsh show what an option is for', () => {
  const rows = run(
    ['fish', '--no-config', '-c', `source ${COMPLETIONS}/rdpull.fish; complete -C 'rdpull pull --verif'`],
    { env: { PATH: process.env['PATH'], HOME: home.path } },
  ).toString();
  expect(rows).toMatch(/^--verify=?\twhat has to vouch for it$/m);
  expect(fs.readFileSync(`${COMPLETIONS}/_rdpull`, 'utf8')).toContain(
    "'--verify=[what has to vouch for it]:MODE:_rdpull_words -- no checksum signature yes sha256\\:'",
  );
});

describe('what a help text holds is shown, and never run', () => {
  const help = `it's "so" \`touch oops\` $(touch oops) $HOME [a] b:c \\ <d> %s ~ *`;
  const commands: readonly CompletedCommand[] = [
    {
      name: 'odd',
      description: help,
      options: [
        { name: 'one', value: undefined, isRepeatable: false, description: help },
        {
          name: 'two',
          value: { name: `A:B[']`, completes: ['x:'], isOptional: false },
          isRepeatable: true,
          description: help,
        },
      ],
      operand: { name: `'C:D`, completes: 'file' },
      operands: 1,
    },
  ];
  const directory = new TemporaryDirectory();
  afterAll(() => directory[Symbol.dispose]());
  const env = { PATH: process.env['PATH'], HOME: directory.path, LC_ALL: 'C.UTF-8' };

  test('by fish', () => {
    const script = directory.write('rdpull.fish', fishCompletion(commands));
    const ask = `source ${script}; complete -C 'rdpull '; complete -C 'rdpull odd --o'; complete -C 'rdpull odd --two='`;
    const shown = run(['fish', '--no-config', '-c', ask], { cwd: directory.path, env }).toString();
    expect(shown).toBe(`odd\t${help}\n--one\t${help}\n--two=x:\t${help}\n`);
    expect(directory.names()).not.toContain('oops');
  });

  test('by zsh', async () => {
    directory.write('_rdpull', zshCompletion(commands));
    directory.write('.zshrc', zshSettings(directory.path));
    await using shell = new InteractiveShell(['zsh', '-d', '-i'], directory.path, {
      ZDOTDIR: directory.path,
    });
    expect(await shell.type('rdpull odd --\x04')).toContain(`--one  -- ${help}`);
    expect(await shell.complete('rdpull odd --two=')).toEqual(['rdpull', 'odd', '--two=x:']);
    expect(directory.names()).not.toContain('oops');
  });

  test('by bash, which shows none, and takes no word that it would expand', () => {
    expect(bashCompletion(commands)).not.toContain('oops');
    const expanded = commands.map((command) => ({
      ...command,
      operand: { name: 'X', completes: ['$(touch oops)'] },
    }));
    expect(() => bashCompletion(expanded)).toThrow('would not take "$(touch oops)"');
  });
});

test('the scripts are without a fault', () => {
  run(['shellcheck', `${COMPLETIONS}/rdpull`]);
  run(['zsh', '-n', `${COMPLETIONS}/_rdpull`]);
  run(['fish', '-n', `${COMPLETIONS}/rdpull.fish`]);
});
