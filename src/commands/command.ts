import type { RdpullError } from '../console/rdpull-error.ts';
import type { Reporter } from '../console/reporter.ts';

/**
 * What a shell offers for a value: files, directories, loop devices in use and the files behind them, or words. Of those,
 * one that ends in `=`, `:`, `/` or `,` is a beginning.
 */
export type Completion = 'file' | 'directory' | 'loop-device' | readonly string[];

/** One option of a command, as the parser, `--help`, the manual and the completions know it. */
export interface OptionSpec {
  readonly name: string;
  /** What stands for the value in the help; absent for a switch. */
  readonly value?: string;
  /** Where the name of the value does not say it: FILE and DIR do. */
  readonly completes?: Completion;
  /** Whether it may stand alone as well; a value must then be joined to it with `=`. */
  readonly valueIsOptional?: boolean;
  readonly repeatable?: boolean;
  /** Whether `--NAME=` with nothing behind it says something. */
  readonly mayBeEmpty?: boolean;
  readonly help: string;
}

/** What the command line of a command came down to. */
export interface CommandLine {
  /** Empty when it is optional and was left out. */
  readonly operand: string;
  /** Empty when it was left out. */
  readonly secondOperand: string;
  /** Whether a switch was given. */
  has(name: string): boolean;
  /** The value of an option; the last one wins. */
  value(name: string): string | undefined;
  /** All values of a repeatable option. */
  values(name: string): readonly string[];
}

/** A command's line in the overview. */
export interface CommandSummary {
  readonly name: string;
  /** How its one operand is called in the help. */
  readonly operand: string;
  readonly operandIsOptional?: boolean;
  /** How a second operand is called, which may always be left out. */
  readonly secondOperand?: string;
  /** Where the name of the operand does not say it, as with the value of an option. */
  readonly completes?: Completion;
  readonly summary: string;
}

/** One command: what it is called and takes, and what it does. */
export interface Command extends CommandSummary {
  /** What `--help` says between the usage line and the options. */
  readonly description: string;
  readonly options: readonly OptionSpec[];
  /**
   * Does the work; returns when everything that was asked for holds.
   *
   * @throws RdpullError
   */
  run(line: CommandLine, context: CommandContext): Promise<void>;
}

/** What every command works with. */
export interface CommandContext {
  readonly reporter: Reporter;
  /** Aborted by SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
  /** Until it is disposed of, `mayEnd` is asked whether such a signal is to end the command, and says no where it must not. */
  guardInterruption(mayEnd: (signal: string) => boolean): Disposable;
  /** The command has done its work and said everything, and its exit status is to be that of this error. */
  exitLike(found: RdpullError): void;
}
