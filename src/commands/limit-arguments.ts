import { printable, quoted } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { type ImageType, isTree } from '../request/image-class.ts';
import { nearest } from '../request/nearest.ts';
import { parseSize, shortestSize } from '../request/size-text.ts';
import { DEFAULT_LIMITS, isLimitName, LIMITS, type LimitName, type Limits } from '../transfer/limits.ts';
import { TAR_LIMITS } from '../transfer/sink/tar/tar-limits.ts';
import type { CommandLine, OptionSpec } from './command.ts';

const names = () => Object.keys(LIMITS).filter(isLimitName);

export const LIMIT_OPTION: OptionSpec = {
  name: 'limit',
  value: 'NAME=VALUE',
  get completes() {
    return names().map((name) => `${name}=`);
  },
  repeatable: true,
  get help() {
    const each = names().map(
      (name) => `${name} (${LIMITS[name].what}): ${shortestSize(LIMITS[name].default)}`,
    );
    return `refuse what is more than VALUE, which may end in K, M, G or T (1024 each). NAME and its default: ${each.join('; ')}`;
  },
};

/**
 * The values of `--limit=`, and the defaults of the others; of two values for a name the last one holds.
 *
 * @throws RdpullError bad-option
 */
export function limits(line: CommandLine): Limits {
  const given: { [Name in LimitName]?: number } = {};
  for (const text of line.values('limit')) {
    const [, word = '', value] = /^([^=]*)(?:=(.*))?$/s.exec(text) ?? [];
    const name = limitName(word, value);
    given[name] = limitValue(name, value);
  }
  return { ...DEFAULT_LIMITS, ...given };
}

/**
 * @param type what is pulled
 * @throws RdpullError bad-option for a limit that only a tarball can reach, and there is none
 */
export function requireLimitsFor(line: CommandLine, type: ImageType): void {
  if (isTree(type)) return;
  const given = line.values('limit').map((text) => text.replace(/=.*$/s, ''));
  const name = given.find((each) => Object.hasOwn(TAR_LIMITS, each));
  if (name === undefined) return;
  throw new RdpullError(
    'bad-option',
    `--limit=${name}=VALUE is for tarballs, and a disk image was asked for`,
    'leave it out, or add --type=tar if the file is a tarball',
  );
}

function limitName(word: string, value = 'VALUE'): LimitName {
  if (isLimitName(word)) return word;
  const meant = nearest(word, names());
  throw new RdpullError(
    'bad-option',
    `there is no limit ${quoted(word)}`,
    meant === undefined
      ? `valid are ${names().join(', ')}`
      : `did you mean --limit=${meant}=${printable(value)}?`,
  );
}

function limitValue(name: LimitName, text: string | undefined): number {
  if (text === undefined) {
    throw new RdpullError(
      'bad-option',
      `--limit=${name} has no value`,
      `write --limit=${name}=VALUE; the default is ${shortestSize(LIMITS[name].default)}`,
    );
  }
  const value = parseSize(text) ?? Number.NaN;
  const { largest } = LIMITS[name];
  if (value >= 1 && value <= largest) return value;
  throw new RdpullError(
    'bad-option',
    `--limit=${name}=${printable(text)} is not valid`,
    `give a number from 1 to ${shortestSize(largest)}, with or without a suffix (K, M, G, T)`,
  );
}
