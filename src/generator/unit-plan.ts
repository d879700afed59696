import importsTarget from '../../units/imports.target' with { type: 'text' };
import importsPreTarget from '../../units/imports-pre.target' with { type: 'text' };
import { printable } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { quotedUrl } from '../console/shown-url.ts';
import { type PullParameters, pullParameters } from '../request/kernel-command-line.ts';
import { parsePullExpression } from '../request/pull-expression.ts';
import type { PullRequest, Remote } from '../request/pull-request.ts';
import { type CacheSource, cacheEntries, planCache, withCache } from './cache-mount.ts';
import { networkHandover } from './network-handover.ts';
import { localObject, type PlannedPull, type PullSource, planPull } from './planned-pull.ts';
import { pullUnit, type UnitSurroundings } from './pull-unit.ts';
import { rootParameters } from './root-parameters.ts';
import { planRoot, type RootPlan } from './root-plan.ts';
import { dependencyLink, type UnitTreeEntry } from './unit-tree.ts';

/** `refusal` is why an expression is left out. */
export type PlanWarning = (message: string, refusal?: RdpullError) => void;

/** Where `rdpull attach` notes what it has attached over NVMe: src/nvme/device-links.ts. */
const ATTACHED_DISKS = '/run/rdpull/nvme';

const COMMAND_LINE: PullSource = { path: '/proc/cmdline', isShared: false };

/** What the units are made from. */
export interface GeneratorInput extends UnitSurroundings {
  readonly commandLine: string;
  readonly credential: { readonly path: string; readonly expressions: readonly string[] } | undefined;
  /** The credential `rdpull.cache`. */
  readonly cacheCredential?: CacheSource | undefined;
  /** Whether it is certain that this machine was not booted over HTTP. */
  readonly lacksBootUrl: boolean;
}

/**
 * The units for everything that is asked for: nothing when nothing is. An expression that is wrong, or that asks for
 * what another one has asked for, is left out.
 *
 * @param warn takes a line about everything that is left out or ignored
 */
export function planUnits(input: GeneratorInput, warn: (message: string) => void): UnitTreeEntry[] {
  const { parameters, pulls, entries } = planPulls(input, warn);
  if (pulls.length === 0) return [];
  return [...pulls.flatMap((pull) => pullEntries(pull, parameters, input)), ...importsTargets(), ...entries];
}

/** The pulls of a boot, and how one of them becomes the root file system. */
export interface PullPlan extends RootPlan {
  readonly parameters: PullParameters;
}

/**
 * What the units are made of.
 *
 * @param warn takes a line about everything that is left out or ignored, and why when that is an expression
 */
export function planPulls(input: GeneratorInput, warn: PlanWarning): PullPlan {
  const { inInitrd, executable } = input;
  const parameters = pullParameters(input.commandLine, inInitrd, warn);
  const pulls = collectPulls(parameters.expressions, input, warn);
  if (pulls.length === 0 || !inInitrd) return { parameters, pulls, entries: [] };
  const root = planRoot(rootParameters(input.commandLine), pulls, executable, warn);
  const cache = planCache(cacheSource(parameters, input), warn);
  const cached = withCache(root.pulls, cache, warn);
  const entries = [...root.entries, ...cacheEntries(cached, cache, warn), networkHandover()];
  return { parameters, pulls: cached, entries };
}

/** The command line wins. */
function cacheSource(
  { cache }: PullParameters,
  { cacheCredential }: GeneratorInput,
): CacheSource | undefined {
  return cache === undefined ? cacheCredential : { text: cache, path: COMMAND_LINE.path };
}

/** Those on the kernel command line first, then those of the credential. */
function collectPulls(
  expressions: readonly string[],
  { credential, inInitrd, lacksBootUrl, exists }: GeneratorInput,
  warn: PlanWarning,
): PlannedPull[] {
  const byObject = new Map<string, PlannedPull>();
  function add(expression: string, source: PullSource): void {
    try {
      const request = parsePullExpression(expression, warn);
      // systemd's generator leaves it out as well: the same UKI on a local disk boots from that, and waits for nothing.
      const { remote } = request;
      if (needsBootUrl(remote) && !request.ramDisk && lacksBootUrl) {
        warn(`pull expression ${quotedUrl(expression)} is left out: this machine was not booted over HTTP`);
        return;
      }
      const pull = planPull(request, inInitrd, source);
      // Without runtime= the initrd has made another object of it than the host would: one below /run.
      const isDone = source.isShared && !inInitrd && request.runtime === undefined;
      if (isDone && exists(madeInInitrd(request))) return;
      if (byObject.has(pull.object.path)) {
        warn(
          `pull expression ${quotedUrl(expression)} is ignored: another one before it makes ` +
            `${printable(pull.object.path)} already; give it another local name`,
        );
        return;
      }
      byObject.set(pull.object.path, pull);
    } catch (error) {
      const refusal = RdpullError.from(error);
      const { message, hint } = refusal;
      const subject = message.startsWith('pull expression')
        ? ''
        : `pull expression ${quotedUrl(expression)}: `;
      warn(`${subject}${message}; ${hint}`, refusal);
    }
  }
  for (const expression of expressions) add(expression, COMMAND_LINE);
  if (credential !== undefined) {
    const { path, expressions: lines } = credential;
    for (const expression of lines) add(expression, { path, isShared: true });
  }
  return [...byObject.values()];
}

/** What is there when the initrd has done it: the object, or what is noted of disks that stay on their servers. */
function madeInInitrd(request: PullRequest): string {
  return request.remote.kind === 'nvme' ? ATTACHED_DISKS : localObject(request, true).path;
}

/** Whether nothing but the boot URL says where it comes from. */
function needsBootUrl(remote: Remote): boolean {
  if (remote.kind === 'nvme') return remote.url.host === undefined && remote.dhcp === undefined;
  return remote.kind === 'bootorigin' && remote.dhcp === undefined;
}

function pullEntries(
  pull: PlannedPull,
  parameters: PullParameters,
  surroundings: UnitSurroundings,
): UnitTreeEntry[] {
  const content = pullUnit(pull, parameters, surroundings);
  return [
    { precedence: 'normal', name: pull.unit, content },
    dependencyLink('normal', 'imports.target.wants', pull.unit),
  ];
}

/** The targets, which systemd 258 and later have and want themselves: in the late directory theirs win. */
function importsTargets(): UnitTreeEntry[] {
  return [
    { precedence: 'late', name: 'imports.target', content: importsTarget },
    { precedence: 'late', name: 'imports-pre.target', content: importsPreTarget },
    dependencyLink('late', 'sysinit.target.wants', 'imports.target'),
  ];
}
