import { printable } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { quotedUrl } from '../console/shown-url.ts';
import { nearest } from '../request/nearest.ts';
import type { Command, CommandLine, OptionSpec } from './command.ts';

/** Understood by every command. */
export const COMMON_OPTIONS: readonly OptionSpec[] = [
  { name: 'json', help: 'print the result, or the error, as one JSON object on standard output' },
  { name: 'quiet', help: 'print errors only' },
  { name: 'verbose', help: 'say more about what happens, and where an error comes from' },
  { name: 'help', help: 'show this text' },
];

/**
 * Reads the arguments behind the name of a command. All of them are checked before anything is done.
 *
 * @throws RdpullError bad-option, bad-argument
 */
export function parseCommandLine(command: Command, args: readonly string[]): CommandLine {
  const specs = new Map([...command.options, ...COMMON_OPTIONS].map((spec) => [spec.name, spec]));
  const values = new Map<string, string[]>();
  const operands: string[] = [];
  // What may stand alone has its value joined to it.
  const takesWord = (spec: OptionSpec | undefined) =>
    spec?.value !== undefined && spec.valueIsOptional !== true;
  for (const word of wordsOf(args, (name) => takesWord(specs.get(name)))) {
    if (word.kind === 'operand') {
      operands.push(word.text);
      continue;
    }
    const spec = specs.get(word.name);
    if (spec === undefined) throw unknownOption(command, word.written, [...specs.keys()]);
    values.set(spec.name, [...(values.get(spec.name) ?? []), optionValue(command, spec, word.value)]);
  }
  if (values.has('quiet') && values.has('verbose')) {
    throw new RdpullError(
      'bad-option',
      '--quiet and --verbose are opposites: how much is said',
      'leave out one of them',
    );
  }
  return {
    ...knownOperands(command, operands),
    has: (name) => values.has(name),
    value: (name) => values.get(name)?.at(-1),
    values: (name) => values.get(name) ?? [],
  };
}

/** A word of the command line, or two: an option and its value. */
type Word =
  | { readonly kind: 'operand'; readonly text: string }
  | {
      readonly kind: 'option';
      readonly name: string;
      /** As it was written, with its dashes. */
      readonly written: string;
      readonly value: string | undefined;
    };

/**
 * Splits arguments as getopt_long(3) does, operands and options in any order, without short options, of which there are none.
 * parseArgs() of node:util would do it too, and cost each command a tenth of its start.
 */
function* wordsOf(args: readonly string[], takesValue: (name: string) => boolean): Generator<Word> {
  const left = [...args];
  for (let text = left.shift(); text !== undefined; text = left.shift()) {
    if (text === '--') {
      yield* left.map((operand): Word => ({ kind: 'operand', text: operand }));
      return;
    }
    if (text === '-' || !text.startsWith('-')) {
      yield { kind: 'operand', text };
    } else if (!text.startsWith('--')) {
      yield { kind: 'option', name: text.slice(0, 2), written: text.slice(0, 2), value: undefined };
    } else {
      const equals = text.indexOf('=', 3);
      const written = equals < 0 ? text : text.slice(0, equals);
      const name = written.slice(2);
      const value = equals >= 0 ? text.slice(equals + 1) : takesValue(name) ? left.shift() : undefined;
      yield { kind: 'option', name, written, value };
    }
  }
}

/** What an option was given; of a switch, nothing. */
function optionValue({ name }: Command, spec: OptionSpec, given: string | undefined): string {
  if (spec.valueIsOptional === true && given === undefined) return '';
  const isMissing = spec.mayBeEmpty === true ? given === undefined : !given;
  if (spec.value !== undefined && isMissing) {
    const message = `--${spec.name} needs a value: --${spec.name}=${spec.value}`;
    throw new RdpullError('bad-option', message, helpOf(name));
  }
  if (spec.value === undefined && given !== undefined) {
    throw new RdpullError('bad-option', `--${spec.name} takes no value`, `write --${spec.name} alone`);
  }
  return given ?? '';
}

function knownOperands(
  { name, operand: what, operandIsOptional, secondOperand: secondWhat }: Command,
  operands: readonly string[],
): Pick<CommandLine, 'operand' | 'secondOperand'> {
  const [operand = '', ...others] = operands;
  const [secondOperand = '', extra] = secondWhat === undefined ? ['', ...others] : others;
  if (operand === '' && operandIsOptional !== true) {
    throw new RdpullError('bad-argument', `rdpull ${name} needs ${what}`, helpOf(name));
  }
  if (extra === undefined) return { operand, secondOperand };
  throw new RdpullError(
    'bad-argument',
    `rdpull ${name} takes one ${what}${secondWhat === undefined ? '' : ` and one ${secondWhat}`}, and ${quotedUrl(extra)} is one too many`,
    'put what contains spaces into quotes',
  );
}

const helpOf = (command: string) => `rdpull ${command} --help lists what it takes`;

function unknownOption(command: Command, rawName: string, names: readonly string[]): RdpullError {
  const meant = nearest(rawName.replace(/^-+/, ''), names);
  return new RdpullError(
    'bad-option',
    `rdpull ${command.name} has no option ${printable(rawName)}`,
    meant === undefined ? `rdpull ${command.name} --help lists its options` : `did you mean --${meant}?`,
  );
}
