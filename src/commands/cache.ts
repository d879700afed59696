import { printable, quoted } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { nearest } from '../request/nearest.ts';
import { CACHE_OPTIONS, cacheSize } from './cache-arguments.ts';
import type { CacheAction } from './cache-work.ts';
import type { Command, CommandLine } from './command.ts';

const ACTIONS = ['list', 'verify', 'prune', 'pin', 'unpin'] as const satisfies readonly CacheAction[];

/** Where the cache of this boot is. */
const BOOT_CACHE = '/run/rdpull/cache';

export const cache: Command = {
  name: 'cache',
  operand: 'list|verify|prune|pin|unpin',
  operandIsOptional: true,
  secondOperand: 'NAME',
  completes: ACTIONS,
  summary: 'show what is in a cache of images, check it, and make room in it',
  description: `list (or nothing) shows the images in the cache, of each name the newest first: whether they have come up (good), or how
often they may still be booted without. verify reads them, and holds each against the digest that it had when it was stored.
prune removes images, those that were stored first, until the cache holds --cache-size=SIZE, or without that all that need
not stay. pin NAME keeps an image until unpin NAME. What stays in any case is the last good image of each name, what this
boot runs, and what is pinned.

NAME is an image as list shows it, root_42, or all of a name: root. rdpull.cache(7) explains the cache.`,
  options: [
    {
      name: 'cache',
      value: 'DIR',
      help: `the directory of the cache (default: ${BOOT_CACHE}, where rd.rdpull.cache= is mounted)`,
    },
    ...CACHE_OPTIONS.filter(({ name }) => name === 'cache-size'),
  ],
  async run(line, context) {
    const action = cacheAction(line);
    const directory = line.value('cache') ?? BOOT_CACHE;
    const limit = cacheSize(line) ?? 0;
    const { workOnCache } = await import('./cache-work.ts');
    await workOnCache({ action, directory, name: line.secondOperand, limit }, context);
  },
};

/** @throws RdpullError of the usage family */
function cacheAction(line: CommandLine): CacheAction {
  const word = line.operand === '' ? 'list' : line.operand;
  const action = ACTIONS.find((each) => each === word);
  if (action === undefined) {
    const meant = nearest(word, ACTIONS);
    throw new RdpullError(
      'bad-argument',
      `rdpull cache does not know ${quoted(word)}`,
      meant === undefined ? `valid are ${ACTIONS.join(', ')}` : `did you mean rdpull cache ${meant}?`,
    );
  }
  if (line.has('cache-size') && action !== 'prune')
    throw new RdpullError('bad-option', '--cache-size= is for rdpull cache prune', 'leave it out');
  const takesName = action !== 'prune';
  if (!takesName && line.secondOperand !== '') {
    throw new RdpullError(
      'bad-argument',
      `rdpull cache prune takes no name, and ${quoted(line.secondOperand)} was given`,
      'leave it out; pin what is to stay',
    );
  }
  if (line.secondOperand === '' && (action === 'pin' || action === 'unpin')) {
    throw new RdpullError(
      'bad-argument',
      `rdpull cache ${action} needs the name of an image`,
      `rdpull cache list shows them; then for example rdpull cache ${printable(action)} root_42`,
    );
  }
  return action;
}
