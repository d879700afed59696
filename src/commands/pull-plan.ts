import path from 'node:path';
import { RdpullError } from '../console/rdpull-error.ts';
import { cacheDefect } from '../request/cache.ts';
import { imagePath } from '../request/image-class.ts';
import { inInitrd } from '../request/initrd.ts';
import { placeholdersIn } from '../request/placeholder.ts';
import { type PullRequest, resolveRequest } from '../request/pull-request.ts';
import type { Limits } from '../transfer/limits.ts';
import { type CachePlan, cachePlan } from './cache-arguments.ts';
import type { CommandLine } from './command.ts';
import type { Exposure } from './exposure.ts';
import { limits, requireLimitsFor } from './limit-arguments.ts';
import { memory } from './memory-argument.ts';
import { imageRoot, patience, pullRequest } from './pull-arguments.ts';
import { requireServers } from './server-access.ts';
import { type Trust, trusted } from './trust-arguments.ts';

/** What a pull was asked for, all of it validated. */
export interface PullPlan {
  readonly request: PullRequest;
  /** The directory of the target; undefined: as the request says. */
  readonly imageRoot: string | undefined;
  /** What becomes of an image that has the target's name already. */
  readonly existing: 'refused' | 'kept' | 'replaced';
  readonly exposure: Exposure;
  readonly trust: Trust;
  readonly limits: Limits;
  /** Bytes that may be resident, more or less. */
  readonly memory: number;
  /** How long to go on without progress, in ms. */
  readonly patience: number;
  /** Whether somebody has said so. */
  readonly isPatienceGiven: boolean;
  /** Where to keep the image, and to look for it. */
  readonly cache: CachePlan | undefined;
}

/**
 * Takes a command line apart, before anything else is done.
 *
 * @throws RdpullError of the usage family
 */
export function planPull(line: CommandLine, warn: (text: string) => void): PullPlan {
  const request = pullRequest(line, warn);
  requireOptionsThatGoTogether(line, request);
  return {
    request,
    imageRoot: imageRoot(line),
    existing: line.has('keep') ? 'kept' : line.has('force') ? 'replaced' : 'refused',
    exposure: exposureOf(line, request),
    trust: trusted(line, request.verify),
    limits: limits(line),
    memory: memory(line),
    patience: patience(line, inInitrd()),
    isPatienceGiven: line.has('patience'),
    cache: cacheFor(cachePlan(line), request, warn),
  };
}

/** The cache, where the image is one that can be kept in it. */
function cacheFor(
  cache: CachePlan | undefined,
  request: PullRequest,
  warn: (text: string) => void,
): CachePlan | undefined {
  const defect = cache === undefined ? undefined : cacheDefect(request);
  if (defect !== undefined) warn(`--cache=DIR is passed over: ${defect}`);
  return defect === undefined ? cache : undefined;
}

/** The place of the image that comes from `url`. */
export function targetOf({ request, imageRoot: root }: PullPlan, url: string): string {
  const { local, path: usual } = resolveRequest(request, url, inInitrd());
  return root === undefined ? usual : imagePath(root, request.type, local);
}

/** The target, where it is known before any server has been asked: what goes wrong then is told of it. */
export function plannedTarget(plan: PullPlan): string | undefined {
  const { local, remote } = plan.request;
  const url = remote.kind === 'url' && placeholdersIn(remote.url).size === 0 ? remote.url : undefined;
  return local === undefined && url === undefined ? undefined : targetOf(plan, url ?? '');
}

/** @throws RdpullError bad-option */
function requireOptionsThatGoTogether(line: CommandLine, request: PullRequest): void {
  const { blockdev, remote, mirrors, stores, type } = request;
  if (remote.kind === 'url') requireServers(line, [remote.url, ...mirrors, ...stores]);
  requireLimitsFor(line, type);
  if (line.has('root-link') && !blockdev) {
    throw new RdpullError(
      'bad-option',
      '--root-link=LINK needs a block device for the link to lead to',
      'add --blockdev',
    );
  }
  if (line.has('keep') && line.has('force')) {
    throw new RdpullError(
      'bad-option',
      '--keep and --force are opposites: what to do with an image that exists already',
      'leave out one of them',
    );
  }
}

function exposureOf(line: CommandLine, { blockdev, readOnly }: PullRequest): Exposure {
  const absolute = (option: string) => {
    const given = line.value(option);
    return given === undefined ? undefined : path.resolve(given);
  };
  return { blockdev, bind: absolute('bind'), rootLink: absolute('root-link'), readOnly };
}
