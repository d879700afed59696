import fs from 'node:fs';
import { shellCommand, shellWord } from '../console/shell-command.ts';
import { commandWithPlaceholders, placeholdersToFill } from '../console/shown-url.ts';
import { HTTP_CREDENTIALS, NVME_CREDENTIALS } from '../generator/server-credentials.ts';

/**
 * What there is at the place of the image after a failure: nothing, another image, another one that something uses and
 * that cannot be replaced therefore, or the new one, complete.
 */
export type LeftBehind = 'nothing' | 'another' | 'used' | 'complete';

/** What a pull was started with, beside its command line. */
export interface Start {
  /** The unit that has started it, and that can do so again. */
  readonly unit: string | undefined;
  /** Its environment variables. */
  readonly environment: NodeJS.ProcessEnv;
}

/** Where systemd keeps credentials in plain text (systemd.exec(5)); those of a service are gone when it has failed. */
const KEPT_CREDENTIALS = [
  '/run/credentials/@system',
  '/etc/credstore',
  '/run/credstore',
  '/usr/lib/credstore',
];
const CREDENTIALS = [...HTTP_CREDENTIALS, ...NVME_CREDENTIALS];

/**
 * The command line that does a pull again, for a shell (POSIX.1-2024, chapter 2.2) and a person who pastes it.
 *
 * No secret is in it. Where the pull cannot do without one, it is the unit that knows it which is started again; where there
 * is no such unit, or the command has to change, a comment says what to put in place of what.
 *
 * @param args what stood behind the program's name, or was recorded of that
 */
export function retryCommand(
  args: readonly string[],
  left: LeftBehind,
  { unit, environment }: Start,
): string {
  const words = commandWithPlaceholders(changed(args, left));
  const placeholders = placeholdersToFill(words);
  const needed = credentials(environment);
  const directory = KEPT_CREDENTIALS.find((kept) => needed.every((name) => fs.existsSync(`${kept}/${name}`)));
  const isLacking = placeholders.length > 0 || directory === undefined;
  if (isLacking && left === 'nothing' && unit !== undefined)
    return shellCommand(['systemctl', 'restart', unit]);
  const notes = [
    ...(placeholders.length === 0 ? [] : [`with yours in place of ${placeholders.join(' and ')}`]),
    ...(directory === undefined ? needed.map(withCredential) : []),
  ];
  const variable =
    needed.length > 0 && directory !== undefined ? `CREDENTIALS_DIRECTORY=${shellWord(directory)} ` : '';
  const comment = notes.length === 0 ? '' : `  # ${notes.join(', and ')}`;
  return `${variable}${shellCommand(['rdpull', ...words])}${comment}`;
}

/** The same command, for what there is now; nobody who pastes it needs the consoles. */
function changed(args: readonly string[], left: LeftBehind): readonly string[] {
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
  const words = args.filter((word) => !dropped.has(word));
  // Behind the name of the command, in front of what could be a `--`.
  const at = words.indexOf('pull') + 1;
  return [...words.slice(0, at), ...added.filter((option) => !words.includes(option)), ...words.slice(at)];
}

/** Those of HTTP have an option, and those of NVMe only a place. */
function withCredential(name: string): string {
  return HTTP_CREDENTIALS.includes(name)
    ? `with --${name.slice('rdpull.'.length)}=FILE`
    : `with CREDENTIALS_DIRECTORY=DIRECTORY in front, in which ${name} is`;
}

/** The credentials that this process was given. */
function credentials({ CREDENTIALS_DIRECTORY: directory }: NodeJS.ProcessEnv): readonly string[] {
  if (directory === undefined) return [];
  return CREDENTIALS.filter((name) => fs.existsSync(`${directory}/${name}`));
}
