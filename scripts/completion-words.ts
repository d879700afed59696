import type { CommandSummary, Completion, OptionSpec } from '../src/commands/command.ts';
import { COMMON_OPTIONS } from '../src/commands/command-line.ts';
import { COMMANDS, GENERATE } from '../src/commands/commands.ts';

/** An option as the scripts of the shells know it. */
export interface CompletedOption {
  readonly name: string;
  readonly value:
    | { readonly name: string; readonly completes: Completion; readonly isOptional: boolean }
    | undefined;
  readonly isRepeatable: boolean;
  readonly description: string;
}

/** A command as they know it. */
export interface CompletedCommand {
  readonly name: string;
  readonly description: string;
  readonly options: readonly CompletedOption[];
  readonly operand: { readonly name: string; readonly completes: Completion };
  /** How many operands there can be. */
  readonly operands: number;
}

const HELP = COMMON_OPTIONS.filter(({ name }) => name === 'help').map(completedOption);

/** All that can stand behind `rdpull`, out of the tables that the parser and `--help` use. */
export const COMPLETED_COMMANDS: readonly CompletedCommand[] = [
  ...COMMANDS.map((command) => ({
    ...completedSummary(command),
    options: [...command.options, ...COMMON_OPTIONS].map(completedOption),
    operands: 1,
  })),
  { ...completedSummary(GENERATE), options: HELP, operands: 3 },
  {
    name: 'help',
    description: 'show what a command does and takes',
    options: [],
    operand: { name: 'COMMAND', completes: [...COMMANDS.map(({ name }) => name), GENERATE.name] },
    operands: 1,
  },
];

/** What can stand in place of a command, or before it. */
export const LEADING_OPTIONS: readonly CompletedOption[] = [
  ...COMMON_OPTIONS.map(completedOption),
  { name: 'version', value: undefined, isRepeatable: false, description: 'print the version' },
];

function completedSummary({ name, operand, completes, summary }: CommandSummary) {
  return {
    name,
    description: shortened(summary),
    operand: { name: operand, completes: completes ?? byName(operand) },
  };
}

function completedOption({
  name,
  value,
  completes,
  valueIsOptional,
  repeatable,
  help,
}: OptionSpec): CompletedOption {
  return {
    name,
    value:
      value === undefined
        ? undefined
        : { name: value, completes: completes ?? byName(value), isOptional: valueIsOptional === true },
    isRepeatable: repeatable === true,
    description: shortened(help),
  };
}

/** What FILE and DIR stand for, alone or as one of several. Nothing is offered for other names. */
function byName(name: string): Completion {
  const kinds = name.replaceAll(/[[\]]/g, '').split(/[| ]/);
  if (kinds.includes('FILE') || kinds.includes('UKI')) return 'file';
  return kinds.includes('DIR') || kinds.includes('DIRECTORY') ? 'directory' : [];
}

/** The first sentence of a help text, without what is in parentheses. */
function shortened(help: string): string {
  const [first = ''] = help.replaceAll(/ \([^()]*\)/g, '').split(/[:;.] /);
  return first.replace(/[.:;]$/, '');
}
