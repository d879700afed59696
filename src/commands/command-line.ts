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
  const help = `rdpull ${command.name} --help lists what it takes`;
  const values = new Map<string, string[]>();
  const operands: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') operands.push(token.value);
    if (token.kind !== 'option') continue;
    const spec = specs.get(token.name);
    if (spec === undefined) throw unknownOption(command, token.rawName, [...specs.keys()]);
    const given = values.get(spec.name) ?? [];
    const isMissing = spec.mayBeEmpty === true ? token.value === undefined : !token.value;
    if (spec.value !== undefined && isMissing) {
      throw new RdpullError('bad-option', `--${spec.name} needs a value: --${spec.name}=${spec.value}`, help);
    }
    if (spec.value === undefined && token.value !== undefined) {
      throw new RdpullError('bad-option', `--${spec.name} takes no value`, `write --${spec.name} alone`);
    }
    values.set(spec.name, [...given, token.value ?? '']);
  }
  if (values.has('quiet') && values.has('verbose')) {
    throw new RdpullError(
      'bad-option',
      '--quiet and --verbose are opposites: how much is said',
      'leave out one of them',
    );
  }
  const [operand = '', ...extra] = operands;
  if (operand === '' && command.operandIsOptional !== true) {
    throw new RdpullError('bad-argument', `rdpull ${command.name} needs ${command.operand}`, help);
  }
  if (extra[0] !== undefined) {
    throw new RdpullError(
      'bad-argument',
      `rdpull ${command.name} takes one ${command.operand}, and ${quotedUrl(extra[0])} is one too many`,
      'put what contains spaces into quotes',
    );
  }
  return {
    operand,
    has: (name) => values.has(name),
    value: (name) => values.get(name)?.at(-1),
    values: (name) => values.get(name) ?? [],
  };
}

function unknownOption(command: Command, rawName: string, names: readonly string[]): RdpullError {
  const meant = nearest(rawName.replace(/^-+/, ''), names);
  return new RdpullError(
    'bad-option',
    `rdpull ${command.name} has no option ${printable(rawName)}`,
    meant === undefined ? `rdpull ${command.name} --help lists its options` : `did you mean --${meant}?`,
  );
}
