import { describe, expect, test } from 'bun:test';
import { shellWord } from '../../src/console/shell-command.ts';
import { retryCommand, type Start } from '../../src/status/retry-command.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const UNIT = ['pull', '--boot-screen', '--image-root=/run/machines', '--blockdev', 'http://h/root.raw.xz'];

const BY_HAND: Start = { unit: undefined, environment: {} };
const NAME = 'rdpull@run-machines-root.raw.service';

describe('the command that does it again', () => {
  test('is the one that was started, without the switch for the consoles', () => {
    expect(retryCommand(UNIT, 'nothing', BY_HAND)).toBe(
      'rdpull pull --image-root=/run/machines --blockdev http://h/root.raw.xz',
    );
  });

  test('keeps what is complete already, and replaces what is in the way', () => {
    expect(retryCommand(UNIT, 'complete', BY_HAND)).toStartWith('rdpull pull --keep --image-root=');
    expect(retryCommand([...UNIT, '--force'], 'complete', BY_HAND)).not.toContain('--force');
    expect(retryCommand([...UNIT, '--keep'], 'complete', BY_HAND).match(/--keep/g)).toHaveLength(1);
    expect(retryCommand(UNIT, 'another', BY_HAND)).toStartWith('rdpull pull --force --image-root=');
  });

  test('uses what cannot be replaced, because something uses it already', () => {
    expect(retryCommand(UNIT, 'used', BY_HAND)).toStartWith('rdpull pull --keep --image-root=');
    expect(retryCommand([...UNIT, '--force'], 'used', BY_HAND)).not.toContain('--force');
  });

  test.each([
    ['http://u:secret@h/x', 'rdpull pull http://LOGIN@h/x  # with yours in place of LOGIN'],
    [
      'raw,machine:r:http\\://u\\:secret@h/x',
      "rdpull pull 'raw,machine:r:http\\://LOGIN@h/x'  # with yours in place of LOGIN",
    ],
    ['--mirror=http://u:secret@h/x', 'rdpull pull --mirror=http://LOGIN@h/x  # with yours in place of LOGIN'],
    ['--proxy=u:secret@h:3128', 'rdpull pull --proxy=LOGIN@h:3128  # with yours in place of LOGIN'],
    [
      'https://u:secret@h/x?Signature=secret',
      "rdpull pull 'https://LOGIN@h/x?Signature=SECRET'  # with yours in place of LOGIN and SECRET",
    ],
  ])('has no secret in it, and says so: %s', (word, expected) => {
    expect(retryCommand(['pull', word], 'nothing', BY_HAND)).toBe(expected);
  });

  test('starts the unit again, which knows the secret', () => {
    const unit: Start = { unit: NAME, environment: {} };
    expect(retryCommand(['pull', 'http://u:secret@h/x'], 'nothing', unit)).toBe(`systemctl restart ${NAME}`);
    expect(retryCommand(UNIT, 'nothing', unit)).toStartWith('rdpull pull ');
    // It would come to the same end.
    expect(retryCommand(['pull', 'http://u:secret@h/x'], 'another', unit)).toBe(
      'rdpull pull --force http://LOGIN@h/x  # with yours in place of LOGIN',
    );
  });

  test('says which credentials are gone with the service', () => {
    using directory = new TemporaryDirectory();
    directory.write('rdpull.login', 'user:secret');
    expect(
      retryCommand(UNIT, 'nothing', { ...BY_HAND, environment: { CREDENTIALS_DIRECTORY: directory.path } }),
    ).toEndWith(' http://h/root.raw.xz  # with --login=FILE');
    directory.write('rdpull.dhchap-ctrl-secret', 'DHHC-1:00:secret:');
    expect(
      retryCommand(['attach', 'nvme+tcp://h'], 'nothing', {
        ...BY_HAND,
        environment: { CREDENTIALS_DIRECTORY: directory.path },
      }),
    ).toBe(
      'rdpull attach nvme+tcp://h  # with --login=FILE, and with CREDENTIALS_DIRECTORY=DIRECTORY in front, in which rdpull.dhchap-ctrl-secret is',
    );
    const unit: Start = { unit: NAME, environment: { CREDENTIALS_DIRECTORY: directory.path } };
    expect(retryCommand(UNIT, 'nothing', unit)).toBe(`systemctl restart ${NAME}`);
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
