import { parseArgs } from 'node:util';
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
  const { tokens } = parseArgs({
    args: [...args],
    strict: false,
    tokens: true,
    allowPositionals: true,
    options: Object.fromEntries(
      [...specs].map(([name, { value }]) => [name, { type: value === undefined ? 'boolean' : 'string' }]),
    ),
  });
  const values = new Map<string, string[]>();
  for (const token of tokens) {
    if (token.kind !== 'option') continue;
    const spec = specs.get(token.name);
    if (spec === undefined) throw unknownOption(command, token.rawName, [...specs.keys()]);
    values.set(spec.name, [...(values.get(spec.name) ?? []), optionValue(command, spec, token.value)]);
  }
  if (values.has('quiet') && values.has('verbose')) {
    throw new RdpullError(
      'bad-option',
      '--quiet and --verbose are opposites: how much is said',
      'leave out one of them',
    );
  }
  const operands = tokens.flatMap((token) => (token.kind === 'positional' ? token.value : []));
  return {
    operand: onlyOperand(command, operands),
    has: (name) => values.has(name),
    value: (name) => values.get(name)?.at(-1),
    values: (name) => values.get(name) ?? [],
  };
}

/** What an option was given; of a switch, nothing. */
function optionValue({ name }: Command, spec: OptionSpec, given: string | undefined): string {
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

function onlyOperand(
  { name, operand: what, operandIsOptional }: Command,
  operands: readonly string[],
): string {
  const [operand = '', extra] = operands;
  if (operand === '' && operandIsOptional !== true) {
    throw new RdpullError('bad-argument', `rdpull ${name} needs ${what}`, helpOf(name));
  }
  if (extra === undefined) return operand;
  throw new RdpullError(
    'bad-argument',
    `rdpull ${name} takes one ${what}, and ${quotedUrl(extra)} is one too many`,
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
