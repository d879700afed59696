import { describe, expect, test } from 'bun:test';
import { retryCommand } from '../../src/commands/retry-command.ts';
import { shellWord } from '../../src/console/shell-command.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const UNIT = ['pull', '--boot-screen', '--image-root=/run/machines', '--blockdev', 'http://h/root.raw.xz'];

describe('the command that does it again', () => {
  test('is the one that was started, without the switch for the consoles', () => {
    expect(retryCommand(UNIT, 'nothing', {})).toBe(
      'rdpull pull --image-root=/run/machines --blockdev http://h/root.raw.xz',
    );
  });

  test('keeps what is complete already, and replaces what is in the way', () => {
    expect(retryCommand(UNIT, 'complete', {})).toStartWith('rdpull pull --keep --image-root=');
    expect(retryCommand([...UNIT, '--force'], 'complete', {})).not.toContain('--force');
    expect(retryCommand([...UNIT, '--keep'], 'complete', {}).match(/--keep/g)).toHaveLength(1);
    expect(retryCommand(UNIT, 'another', {})).toStartWith('rdpull pull --force --image-root=');
  });

  test('uses what cannot be replaced, because something uses it already', () => {
    expect(retryCommand(UNIT, 'used', {})).toStartWith('rdpull pull --keep --image-root=');
    expect(retryCommand([...UNIT, '--force'], 'used', {})).not.toContain('--force');
  });

  test.each([
    ['http://u:secret@h/x', 'rdpull pull http://h/x  # with the login in the URL'],
    [
      'raw,machine:r:http\\://u\\:secret@h/x',
      "rdpull pull 'raw,machine:r:http\\://h/x'  # with the login in the URL",
    ],
    ['--mirror=http://u:secret@h/x', 'rdpull pull --mirror=http://h/x  # with the login in the URL'],
    ['--proxy=u:secret@h:3128', 'rdpull pull --proxy=h:3128  # with the login in the URL'],
  ])('has no login in it, and says so: %s', (word, expected) => {
    expect(retryCommand(['pull', word], 'nothing', {})).toBe(expected);
  });

  test('is not shown when it is too long to look for a login in it', () => {
    const text = retryCommand(['pull', `http://h/${'x'.repeat(5000)}`], 'nothing', {});
    expect(text).toBe("the command is too long to be shown: systemctl cat 'rdpull@*' has it");
  });

  test('says which credentials are gone with the service', () => {
    using directory = new TemporaryDirectory();
    directory.write('rdpull.login', 'user:secret');
    expect(retryCommand(UNIT, 'nothing', { CREDENTIALS_DIRECTORY: directory.path })).toEndWith(
      ' http://h/root.raw.xz  # with --login=FILE',
    );
    directory.write('other', 'x');
  });
});

test('a shell reads each word as it was', () => {
  const words = [
    'plain-1_%+=:,./@',
    '',
    'a b',
    "o'x",
    '{serial}',
    '$HOME;`id`',
    'back\\slash',
    '"',
    'ä€',
    '*',
    '~',
    '#x',
    "\x1b[2J'\\\n",
    '\u202e',
  ];
  const quoted = words.map(shellWord).join(' ');
  expect(quoted).toMatch(/^[^\p{Cc}\p{Cf}]*$/u);
  const printed = run(['bash', '-c', `printf '%s\\0' ${quoted}`]).toString();
  expect(printed.split('\0').slice(0, -1)).toEqual(words);
});
