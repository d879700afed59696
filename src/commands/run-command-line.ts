import { Interruption } from '../console/interruption.ts';
import { silenceLibraries } from '../console/library-output.ts';
import { quoted } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { createReporter, type Reporter } from '../console/reporter.ts';
import { writeResult } from '../console/standard-streams.ts';
import { nearest } from '../request/nearest.ts';
import { version } from '../version.ts';
import type { Command, CommandSummary } from './command.ts';
import { parseCommandLine } from './command-line.ts';
import { connectJournal } from './journal.ts';

const SWITCHES: ReadonlySet<string> = new Set(['--json', '--quiet', '--verbose']);

/**
 * Runs a command for a person (all but generate); returns the exit status.
 *
 * @param first the command's name, or a switch before it
 * @param rest what stands behind that
 */
export async function runCommandLine(first: string | undefined, rest: readonly string[]): Promise<number> {
  silenceLibraries();
  const { name, args } = commandBehindSwitches(first, rest);
  // How to speak is known before the options are checked, so that a complaint about them is in the right form.
  const parsed = parsedArguments(args);
  const reporter = createReporter(
    {
      json: parsed.includes('--json'),
      quiet: parsed.includes('--quiet'),
      verbose: parsed.includes('--verbose'),
    },
    await connectJournal(),
  );
  exitOnDefect(reporter);
  try {
    const asked = await answerAbout(name, args);
    if (typeof asked !== 'string') return await run(asked, args, reporter);
    writeResult(asked);
    return 0;
  } catch (error) {
    const failure = RdpullError.from(error);
    reporter.failure(failure);
    return failure.exitStatus;
  }
}

/** What is asked about rdpull itself, answered, or the command that is to be run. */
async function answerAbout(name: string | undefined, args: readonly string[]): Promise<string | Command> {
  if (name === '--version') return `rdpull ${version}\n`;
  // Only here: they are a quarter of the start of who asks for the version alone.
  const { COMMANDS, GENERATE } = await import('./commands.ts');
  const { commandHelp, overview } = await import('./help.ts');
  const all = [...COMMANDS, GENERATE];
  if (!isHelp(name)) {
    const command = findCommand(COMMANDS, all, name);
    return parsedArguments(args).includes('--help') ? commandHelp(command) : command;
  }
  const about = args.find((word) => !SWITCHES.has(word));
  if (about === undefined || isHelp(about)) return overview(all);
  if (about === GENERATE.name) return (await import('./generate.ts')).GENERATE_HELP;
  return commandHelp(findCommand(COMMANDS, all, about));
}

/** Runs a command; returns the exit status. */
async function run(command: Command, args: readonly string[], reporter: Reporter): Promise<number> {
  const line = parseCommandLine(command, args);
  using interruption = new Interruption();
  const { signal } = interruption;
  let status = 0;
  const exitLike = ({ exitStatus }: RdpullError) => {
    status = exitStatus;
  };
  try {
    const guardInterruption = (mayEnd: (signal: string) => boolean) => interruption.guard(mayEnd);
    await command.run(line, { reporter, signal, guardInterruption, exitLike }).finally(reporter.end);
    return status;
  } catch (error) {
    const received = interruption.received;
    if (received === undefined) throw error;
    reporter.warn(`interrupted by ${received}; no unfinished image was left behind`, {
      event: 'interrupted',
      signal: received,
    });
    return interruption.dieOf(received);
  }
}

/** What nobody waits for and fails is told like everything else that fails; Bun would show the source around it. */
function exitOnDefect(reporter: Reporter): void {
  const exit = (error: unknown) => {
    const failure = RdpullError.from(error);
    reporter.failure(failure);
    process.exit(failure.exitStatus);
  };
  process.on('uncaughtException', exit);
  process.on('unhandledRejection', exit);
}

/** The switches that every command knows may stand before it, too. */
function commandBehindSwitches(first: string | undefined, rest: readonly string[]) {
  const words = first === undefined ? rest : [first, ...rest];
  const at = words.findIndex((word) => !SWITCHES.has(word));
  if (at < 0) return { name: undefined, args: words };
  return { name: words[at], args: [...words.slice(0, at), ...words.slice(at + 1)] };
}

const isHelp = (word: string | undefined) => word === 'help' || word === '--help';

/** The arguments in which options are looked for: those before `--`. */
function parsedArguments(args: readonly string[]): readonly string[] {
  const end = args.indexOf('--');
  return end < 0 ? args : args.slice(0, end);
}

/** @param all those that are named when it is none of `commands` */
function findCommand(
  commands: readonly Command[],
  all: readonly CommandSummary[],
  name: string | undefined,
): Command {
  const command = commands.find((each) => each.name === name);
  if (command !== undefined) return command;
  const names = all.map((each) => each.name);
  if (name === undefined) {
    throw new RdpullError(
      'bad-argument',
      'no command was given',
      `choose one of ${names.join(', ')}; see rdpull --help`,
    );
  }
  // Without a switch before it, main.ts had started it.
  if (names.includes(name)) {
    throw new RdpullError(
      'bad-option',
      `rdpull ${name} takes no options, and so none before it`,
      `rdpull help ${name} says what it takes`,
    );
  }
  const meant = nearest(name.replace(/^-+/, ''), [...names, 'help', 'version']);
  const spelling = meant === 'version' || meant === 'help' ? `--${meant}` : `rdpull ${meant}`;
  throw new RdpullError(
    'bad-argument',
    `there is no command ${quoted(name)}`,
    meant === undefined ? 'see rdpull --help' : `did you mean ${spelling}?`,
  );
}
