import fs from 'node:fs';
import { shellWord } from '../console/shell-command.ts';
import { commandWithoutLogins } from '../console/shown-url.ts';

/**
 * What there is at the place of the image after a failure: nothing, another image, another one that something uses and
 * that cannot be replaced therefore, or the new one, complete.
 */
export type LeftBehind = 'nothing' | 'another' | 'used' | 'complete';

/** Where systemd keeps credentials in plain text (systemd.exec(5)); those of a service are gone when it has failed. */
const KEPT_CREDENTIALS = [
  '/run/credentials/@system',
  '/etc/credstore',
  '/run/credstore',
  '/usr/lib/credstore',
];
const CREDENTIALS = ['rdpull.bearer', 'rdpull.login'];

/** Of a command that is this long nobody can say whether a login is in it. */
const TOO_LONG = "the command is too long to be shown: systemctl cat 'rdpull@*' has it";

/**
 * The command line that does a pull again, for a shell (POSIX.1-2024, chapter 2.2) and a person who pastes it.
 * Logins are not in it: a comment then says so.
 *
 * @param args what stood behind the program's name
 */
export function retryCommand(
  args: readonly string[],
  left: LeftBehind,
  environment: NodeJS.ProcessEnv = process.env,
): string {
  const dropped = new Set(['--boot-screen']);
  const added: string[] = [];
  if (left === 'complete' || left === 'used') {
    dropped.add('--force');
    added.push('--keep');
  }
  if (left === 'another') {
    dropped.add('--keep');
    added.push('--force');
  }
  const shown = commandWithoutLogins(args.filter((word) => !dropped.has(word)));
  const notes = shown.some((word) => word !== undefined && !args.includes(word))
    ? ['with the login in the URL']
    : [];
  const needed = credentials(environment);
  const directory = KEPT_CREDENTIALS.find((kept) => needed.every((name) => fs.existsSync(`${kept}/${name}`)));
  if (needed.length > 0 && directory === undefined) {
    notes.push(...needed.map((name) => `with --${name.slice('rdpull.'.length)}=FILE`));
  }
  const words: string[] = [];
  for (const word of shown) {
    if (word === undefined) return TOO_LONG;
    words.push(shellWord(word));
  }
  // Behind the name of the command, in front of what could be a `--`.
  const at = words.indexOf('pull') + 1;
  const isGiven = (option: string) => words.includes(option);
  words.splice(at, 0, ...added.filter((option) => !isGiven(option)));
  if (needed.length > 0 && directory !== undefined)
    return `CREDENTIALS_DIRECTORY=${directory} rdpull ${joined(words, notes)}`;
  return `rdpull ${joined(words, notes)}`;
}

function joined(words: readonly string[], notes: readonly string[]): string {
  return words.join(' ') + (notes.length === 0 ? '' : `  # ${notes.join(', and ')}`);
}

/** The credentials that this process was given. */
function credentials({ CREDENTIALS_DIRECTORY: directory }: NodeJS.ProcessEnv): readonly string[] {
  if (directory === undefined) return [];
  return CREDENTIALS.filter((name) => fs.existsSync(`${directory}/${name}`));
}
