import { printable, quoted } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { nearest } from '../request/nearest.ts';
import { LIMIT_NAMES, LIMITS, type LimitName, type Limits, limitsWith } from '../transfer/limits.ts';
import type { CommandLine, OptionSpec } from './command.ts';

/** Suffixes of values: powers of 1024. */
const SUFFIXES: readonly string[] = ['', 'K', 'M', 'G', 'T'];

export const LIMIT_OPTION: OptionSpec = {
  name: 'limit',
  value: 'NAME=VALUE',
  repeatable: true,
  help: `refuse what is more than VALUE, which may end in K, M, G or T (1024 each). NAME and its default: ${LIMIT_NAMES.map(
    (name) => `${name} (${LIMITS[name].what}): ${shortest(LIMITS[name].default)}`,
  ).join('; ')}`,
};

/**
 * The values of `--limit=`, and the defaults of the others; of two values for a name the last one holds.
 *
 * @throws RdpullError bad-option
 */
export function limits(line: CommandLine): Limits {
  const given: Partial<Record<LimitName, number>> = {};
  for (const text of line.values('limit')) {
    const equals = text.indexOf('=');
    const name = limitName(equals < 0 ? text : text.slice(0, equals), equals < 0 ? '' : text.slice(equals));
    if (equals < 0) {
      throw new RdpullError(
        'bad-option',
        `--limit=${name} has no value`,
        `write --limit=${name}=VALUE; the default is ${shortest(LIMITS[name].default)}`,
      );
    }
    given[name] = limitValue(name, text.slice(equals + 1));
  }
  return limitsWith(given);
}

function limitName(text: string, rest: string): LimitName {
  const name = LIMIT_NAMES.find((each) => each === text);
  if (name !== undefined) return name;
  const meant = nearest(text, LIMIT_NAMES);
  throw new RdpullError(
    'bad-option',
    `there is no limit ${quoted(text)}`,
    meant === undefined
      ? `valid are ${LIMIT_NAMES.join(', ')}`
      : `did you mean --limit=${meant}${printable(rest)}?`,
  );
}

function limitValue(name: LimitName, text: string): number {
  const [, digits = '', suffix = ''] = /^(\d{1,15})([KMGT]?)$/i.exec(text) ?? [];
  const power = SUFFIXES.indexOf(suffix.toUpperCase());
  const value = digits === '' ? Number.NaN : Number(digits) * 1024 ** power;
  const { most } = LIMITS[name];
  if (value <= most) return value;
  throw new RdpullError(
    'bad-option',
    `--limit=${name}=${printable(text)} is not valid`,
    `give a number up to ${shortest(most)}, with or without a suffix (K, M, G, T)`,
  );
}

/** A value as an option would have it, as short as can be: `1T`. */
function shortest(value: number): string {
  const power = SUFFIXES.findLastIndex((_, each) => value > 0 && value % 1024 ** each === 0);
  return `${value / 1024 ** power}${SUFFIXES[power] ?? ''}`;
}
