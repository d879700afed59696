import { attach } from './commands/attach.ts';
import type { Command } from './commands/command.ts';
import { parseCommandLine } from './commands/command-line.ts';
import { detach } from './commands/detach.ts';
import { commandHelp, overview } from './commands/help.ts';
import { pull } from './commands/pull.ts';
import { verify } from './commands/verify.ts';
import { Interruption } from './console/interruption.ts';
import { quoted } from './console/printable.ts';
import { RdpullError } from './console/rdpull-error.ts';
import { createReporter } from './console/reporter.ts';
import { nearest } from './request/nearest.ts';
import { version } from './version.ts';

const COMMANDS: readonly Command[] = [pull, attach, detach, verify];

/** Runs one command line; returns its exit status. */
async function main([name, ...args]: readonly string[]): Promise<number> {
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
      process.stdout.write(overview(COMMANDS));
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
  const names = COMMANDS.map((each) => each.name);
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

process.exitCode = await main(process.argv.slice(2));
