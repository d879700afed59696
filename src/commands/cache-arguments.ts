import path from 'node:path';
import { printable } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { CACHE_SIZE_LEAST, parseCacheSize, parseTries, TRIES_DEFAULT, TRIES_MOST } from '../request/cache.ts';
import { shortestSize } from '../request/size-text.ts';
import type { CommandLine, OptionSpec } from './command.ts';

/** The cache that a pull was given. */
export interface CachePlan {
  readonly directory: string;
  /** Bytes; Infinity where nothing was said. */
  readonly limit: number;
  readonly tries: number;
}

export const CACHE_OPTIONS: readonly OptionSpec[] = [
  {
    name: 'cache',
    value: 'DIR',
    help: 'keep what was fetched in DIR, on a disk: what is there and still wanted is not fetched again, and when no server can be reached, the newest image that worked is used. Without it, no local disk is touched',
  },
  {
    name: 'cache-size',
    value: 'SIZE',
    help: 'how much the cache may hold, with or without a suffix (K, M, G, T): what was stored first is removed first, but never the last image that worked (default: as much as its file system)',
  },
  {
    name: 'tries',
    value: 'N',
    help: `how often a new image in the cache is booted that never comes up, before the newest one that did takes its place (default: ${TRIES_DEFAULT})`,
  },
];

/**
 * What `--cache=` and its like come to.
 *
 * @throws RdpullError bad-option
 */
export function cachePlan(line: CommandLine): CachePlan | undefined {
  const directory = line.value('cache');
  if (directory === undefined) {
    const lost = ['cache-size', 'tries'].find((name) => line.has(name));
    if (lost === undefined) return undefined;
    throw new RdpullError('bad-option', `--${lost}= is for a cache, and there is none`, 'add --cache=DIR');
  }
  return {
    directory: path.resolve(directory),
    limit: cacheSize(line) ?? Number.POSITIVE_INFINITY,
    tries: checked(line, 'tries', parseTries, triesHint) ?? TRIES_DEFAULT,
  };
}

/**
 * The value of `--cache-size=`, in bytes.
 *
 * @throws RdpullError bad-option
 */
export function cacheSize(line: CommandLine): number | undefined {
  return checked(line, 'cache-size', parseCacheSize, sizeHint);
}

const sizeHint = () =>
  `give a number of bytes from ${shortestSize(CACHE_SIZE_LEAST)} up, with or without a suffix (K, M, G, T)`;
const triesHint = () => `give a number from 1 to ${TRIES_MOST}`;

function checked(
  line: CommandLine,
  name: string,
  parse: (text: string) => number | undefined,
  hint: () => string,
): number | undefined {
  const text = line.value(name);
  if (text === undefined) return undefined;
  const value = parse(text);
  if (value !== undefined) return value;
  throw new RdpullError('bad-option', `--${name}=${printable(text)} is not valid`, hint());
}
