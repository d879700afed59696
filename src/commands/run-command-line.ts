import { Interruption } from '../console/interruption.ts';
import { quoted } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { createReporter } from '../console/reporter.ts';
import { nearest } from '../request/nearest.ts';
import { version } from '../version.ts';
import { attach } from './attach.ts';
import type { Command, CommandSummary } from './command.ts';
import { parseCommandLine } from './command-line.ts';
import { detach } from './detach.ts';
import { commandHelp, overview } from './help.ts';
import { origin } from './origin.ts';
import { pull } from './pull.ts';
import { verify } from './verify.ts';

const COMMANDS: readonly Command[] = [pull, attach, detach, verify, origin];

/** Speaks to systemd rather than to a person, which is why it is started by main.ts and has no options. */
const GENERATE: CommandSummary = {
  name: 'generate',
  operand: 'NORMAL [EARLY LATE]',
  summary: 'write the units for the pull expressions of the kernel command line, as systemd asks at boot',
};

/**
 * Runs a command for a person (all but generate); returns the exit status.
 *
 * @param args what stands behind the command's name
 */
export async function runCommandLine(name: string | undefined, args: readonly string[]): Promise<number> {
  // How to speak is known before the options are checked, so that a complaint about them is in the right form.
  const reporter = createReporter({
    json: args.includes('--json'),
    quiet: args.includes('--quiet'),
    verbose: args.includes('--verbose'),
  });
  try {
    if (name === '--version') {
      process.stdout.write(`rdpull ${version}\n`);
      return 0;
    }
    if (name === '--help' || name === 'help') {
      process.stdout.write(overview([...COMMANDS, GENERATE]));
      return 0;
    }
    const command = findCommand(name);
    if (args.includes('--help')) {
      process.stdout.write(commandHelp(command));
      return 0;
    }
    const line = parseCommandLine(command, args);
    using interruption = new Interruption();
    try {
      await command.run(line, { reporter, signal: interruption.signal });
    } catch (error) {
      const received = interruption.received;
      if (received === undefined) throw error;
      reporter.warn(`interrupted by ${received}; nothing was left behind`);
      interruption.dieOf(received);
    }
    return 0;
  } catch (error) {
    const failure = RdpullError.from(error);
    reporter.failure(failure);
    return failure.exitStatus;
  }
}

function findCommand(name: string | undefined): Command {
  const command = COMMANDS.find((each) => each.name === name);
  if (command !== undefined) return command;
  const names = [...COMMANDS, GENERATE].map((each) => each.name);
  if (name === undefined) {
    throw new RdpullError(
      'bad-argument',
      'no command was given',
      `choose one of ${names.join(', ')}; see rdpull --help`,
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
