import fs from 'node:fs';
import path from 'node:path';
import { printable } from '../console/printable.ts';
import { RdpullError, reasonOf } from '../console/rdpull-error.ts';
import { shownUrl } from '../console/shown-url.ts';
import type { Recorder } from '../record/recorder.ts';
import type { RecordedCache } from '../record/transfer-record.ts';
import type { Reports } from '../report/reports.ts';
import { type FileType, type ImageType, isTree } from '../request/image-class.ts';
import { isChunkIndexUrl } from '../request/image-name.ts';
import type { OnDemand } from '../request/on-demand.ts';
import type { PullRequest } from '../request/pull-request.ts';
import { formatVerifyMode } from '../request/verify-mode.ts';
import { requireFile } from '../source/file.ts';
import { Pools } from '../source/pools.ts';
import { silenceWithin } from '../source/silence.ts';
import type { HeardAnswer, Location } from '../source/source.ts';
import type { TransferResult } from '../transfer/transfer.ts';
import { advanceClock } from './clock.ts';
import type { CommandContext, CommandLine } from './command.ts';
import { exposedJson, exposedLines, exposedPlaces, tellExposed } from './exposed.ts';
import { type Exposed, exposeImage, requireExposable, requireFreeFor, requireRoot } from './exposure.ts';
import type { KeptJson, SkippedJson } from './json-results.ts';
import type { CachedLocation } from './pull-cache.ts';
import type { ContainerImage } from './pull-container-image.ts';
import type { Display } from './pull-display.ts';
import { finishedEvent, pulledJson, pulledSummary } from './pull-outcome.ts';
import { type PullPlan, plannedTarget, planPull, targetOf } from './pull-plan.ts';
import type { Pull } from './pull-under-way.ts';
import { type FindOptions, findLocations, findStores } from './pull-url.ts';
import { serverAccess } from './server-access.ts';

/**
 * Does what a command line of `rdpull pull` asks for.
 *
 * @returns what became of it, in one line
 * @throws RdpullError
 */
export async function pullImage(
  line: CommandLine,
  { signal, guardInterruption }: CommandContext,
  display: Display,
  recorder: Recorder,
  reports: Reports,
): Promise<string> {
  const begun = performance.now();
  const { reporter } = display;
  const plan = planPull(line, reporter.warn);
  const { request } = plan;
  recordPlan(recorder, plan);
  await requirePossible(plan);
  await advanceClock(reporter);

  const { identity, ...servers } = await serverAccess(line, urlsOf(request));
  // Only for those who have one.
  const caching = plan.cache === undefined ? undefined : await import('./pull-cache.ts');
  using cache = await caching?.openPullCache(plan, reporter);
  using pools = new Pools();
  const patience = caching?.patienceWith(cache, plan) ?? plan.patience;
  const { ca } = servers;
  const heard = request.report && { heard: (answer: HeardAnswer) => reports.heard(answer, ca) };
  const access = accessWithin({ ...plan, patience }, display, { ...servers, ...heard, signal, pools });
  const pull: Pull = { plan, access, display, recorder, cache };
  const finding = { ...access, identity, warn: reporter.warn, detail: reporter.detail };
  const fetch = () => fetchImage(pull, finding, begun, guardInterruption);
  const fetched = await (caching?.orFromCache(pull, fetch, (image) => takeCached(pull, image)) ?? fetch());
  if (typeof fetched === 'string') return fetched;

  const { target } = fetched;
  const milliseconds = Math.round(performance.now() - begun);
  const figures = cache === undefined ? undefined : caching?.cacheFigures(cache, fetched);
  const summary = tellPulled(pull, fetched, milliseconds, figures);
  const exposed = await expose(pull, target).catch((error) => {
    throw withCompleteImage(error, target);
  });
  if (cache !== undefined) caching?.awaitBlessing(cache, reporter);
  recorder.ended('done', exposedPlaces(exposed));
  const json = pulledJson(fetched, milliseconds, exposed, figures);
  reporter.result([target, ...exposedLines(exposed)], json);
  return summary;
}

/**
 * Pulls the image from where it lies.
 *
 * @returns in words what has become of it, where there is nothing more to do
 */
async function fetchImage(
  pull: Pull,
  finding: FindOptions,
  begun: number,
  guardInterruption: CommandContext['guardInterruption'],
): Promise<TransferResult | string> {
  const { plan } = pull;
  const { request } = plan;
  const inMemory = request.ramDisk ? await fromMemory(pull, finding) : undefined;
  if (inMemory !== undefined) return inMemory;
  const container = await containerImage(request, finding);
  const locations = container?.locations ?? (await findLocations(request, finding));
  const [first] = locations;
  if (first === undefined) return skipped(pull);
  const places: Places = {
    locations,
    stores: isChunkIndexUrl(first.url) ? await findStores(request, locations, finding) : [],
  };

  const target = targetOf(plan, first.url);
  tellTarget(pull, locations, target);
  await requireFreeFor(target, plan.exposure, plan.existing === 'replaced');
  if (plan.existing === 'kept' && isThere(target, request.type)) return keepImage(pull, target);

  // A mirror may have what vouches for the image where it lacks the image itself, and a cache the image.
  if (locations.length === 1 && pull.cache === undefined) requireFile(first.url);
  const { onDemand } = request;
  const shown =
    onDemand === undefined
      ? undefined
      : await readOnDemand(pull, onDemand, places, target, begun, guardInterruption);
  return shown ?? (await (container?.download(pull, target) ?? download(pull, places, target)));
}

/** Takes the image from the cache, and asks no server. */
async function takeCached(
  pull: Pull,
  { image: { about }, location, stores }: CachedLocation,
): Promise<TransferResult | string> {
  const { plan } = pull;
  const target = targetOf(plan, about.url);
  pull.display.reporter.about({ url: shownUrl(about.url), target: printable(target) });
  pull.recorder.about(target, formatVerifyMode(plan.request.verify), about.url);
  await requireFreeFor(target, plan.exposure, plan.existing === 'replaced');
  return await download(pull, { locations: [location], stores }, target);
}

/** Where an image lies, or its index and its chunks: without stores, it is a file. */
interface Places {
  readonly locations: readonly Location[];
  readonly stores: readonly Location[];
}

/** All that may be asked; undefined where only the boot origin, or a registry, says. */
function urlsOf({ remote, mirrors, stores }: PullRequest): readonly string[] | undefined {
  return remote.kind === 'url' ? [remote.url, ...mirrors, ...stores] : undefined;
}

/** What of a pull is another thing for a container image; undefined for a file. */
async function containerImage(
  { remote, verify }: PullRequest,
  options: FindOptions,
): Promise<ContainerImage | undefined> {
  if (remote.kind !== 'registry') return undefined;
  const { findContainerImage } = await import('./pull-container-image.ts');
  return findContainerImage(remote.reference, verify, options);
}

/** Only where it was asked for is it worth loading what looks for disks in memory. */
async function fromMemory(pull: Pull, finding: FindOptions): Promise<string | undefined> {
  const { useRamDisk } = await import('./pull-ram-disk.ts');
  return useRamDisk(pull, finding);
}

function recordPlan(recorder: Recorder, plan: PullPlan): void {
  const target = plannedTarget(plan);
  if (target !== undefined) recorder.about(target, formatVerifyMode(plan.request.verify));
}

/** Finds out before the download what would fail after it. */
async function requirePossible({ exposure, request, imageRoot }: PullPlan): Promise<void> {
  await requireExposable(exposure);
  if (imageRoot !== undefined) {
    const { requireDirectoryPlace } = await import('../transfer/sink/storage-error.ts');
    requireDirectoryPlace(imageRoot);
  }
  if (isTree(request.type)) requireRoot('unpacking a root file system');
}

/** How servers are asked: for how long, and who hears when one fails. */
function accessWithin(
  { patience, limits }: PullPlan,
  { notify }: Display,
  servers: Pick<Pull['access'], 'ca' | 'proxy' | 'signal' | 'pools' | 'heard'>,
): Pull['access'] {
  return {
    ...servers,
    silence: silenceWithin(patience),
    patience: { milliseconds: patience, notify },
    redirects: limits.redirects,
  };
}

/** There is nothing to pull, which is how a machine boots that was not booted over HTTP. */
function skipped({ display: { reporter }, recorder }: Pull): string {
  const text = 'this machine was not booted over HTTP (no boot URL in the EFI variables): nothing to pull';
  reporter.info(text, { event: 'nothing-to-pull' });
  recorder.ended('skipped', { note: text });
  reporter.result([], { skipped: 'no boot URL' } satisfies SkippedJson);
  return text;
}

/** It is known what will become of what. */
function tellTarget(
  { plan, display: { reporter }, recorder }: Pull,
  locations: readonly Location[],
  target: string,
): void {
  const urls = locations.map(({ url }) => url);
  const [first = ''] = urls;
  const { verify } = plan.request;
  if (verify.kind === 'no' && urls.some((url) => url.startsWith('http:'))) {
    reporter.warn(
      'verify=no over plain http: whoever is on the network can put another image in place of this one',
    );
  }
  const mode = formatVerifyMode(verify);
  reporter.about({ url: shownUrl(first), target: printable(target) });
  recorder.about(target, mode, first);
  reporter.detail(`${urls.map(shownUrl).join(', ')} will become ${printable(target)}, verify=${mode}`);
}

/**
 * Whether there is an image that can be kept.
 *
 * @throws RdpullError file-unreadable when there is something that is none
 */
function isThere(target: string, type: ImageType): boolean {
  const stat = statOf(fs.statSync, target);
  if (stat === undefined && statOf(fs.lstatSync, target) === undefined) return false;
  // What is in memory is a disk already: the link to it has the name of the image.
  const isImage = isTree(type) ? stat?.isDirectory() : stat?.isFile() || stat?.isBlockDevice();
  if (isImage === true) return true;
  const kind = isTree(type) ? 'directory' : 'file of a disk image';
  throw new RdpullError(
    'file-unreadable',
    `${printable(target)} cannot be kept: it is ${stat === undefined ? 'a link that leads nowhere' : `no ${kind}`}`,
    'remove it, choose another name with --local=NAME, or replace it with --force in place of --keep',
  );
}

/** undefined where nothing can be looked at: why not, who makes the image tells. */
function statOf(stat: (path: string) => fs.Stats, target: string): fs.Stats | undefined {
  try {
    return stat(target);
  } catch {
    return undefined;
  }
}

/** Uses the image that is there. */
async function keepImage(pull: Pull, target: string): Promise<string> {
  const { reporter } = pull.display;
  // A pull that was killed when its image had just got its name has left the rest behind.
  const { removeStaleStaging } = await import('../transfer/staging-directory.ts');
  removeStaleStaging(path.dirname(target), reporter.warn);
  const kept = `${printable(target)} exists already and is kept`;
  reporter.info(kept, { event: 'image-kept', target: printable(target) });
  const exposed = await expose(pull, target);
  pull.recorder.ended('kept', exposedPlaces(exposed));
  const json: KeptJson = { target, kept: true, ...exposedJson(exposed) };
  reporter.result([target, ...exposedLines(exposed)], json);
  return kept;
}

/**
 * Shows the image before it is there, and stays until it is.
 *
 * @returns what became of it; undefined when it has to be downloaded whole
 */
async function readOnDemand(
  { plan, access, display, recorder, cache }: Pull,
  onDemand: OnDemand,
  places: Places,
  target: string,
  begun: number,
  guard: CommandContext['guardInterruption'],
): Promise<string | undefined> {
  const { reporter } = display;
  const [{ pullOnDemand }, { onDemandImpossible }, told] = await Promise.all([
    import('../on-demand/on-demand-pull.ts'),
    import('../on-demand/plan-on-demand.ts'),
    import('./pull-on-demand.ts'),
  ]);
  const caching = cache === undefined ? undefined : await import('./pull-cache.ts');
  const from = { ...places, seeds: cache?.copies.seeds() ?? [], keeper: cache?.onDemand };
  const wanted = await told.onDemandPull(plan, onDemand, from, target);
  const options = { ...access, login: undefined };
  const observer = display.observeOnDemand(target);
  const result = await pullOnDemand(wanted, options, observer, guard).finally(display.end);
  if (result.kind === 'held') return undefined;
  if (result.kind === 'whole') {
    if (onDemand.isRequired) throw onDemandImpossible(result);
    reporter.warn(told.downloadedWhole(result));
    return undefined;
  }
  display.completed();
  const milliseconds = Math.round(performance.now() - begun);
  const summary = told.onDemandSummary(result, milliseconds);
  reporter.info(summary, told.onDemandEvent(result, milliseconds));
  const { figures, device, root, handedOver } = result;
  const received = figures.fetched;
  recorder.transferred({ ...result, received });
  const reused = [...figures.reused].map(([path, bytes]) => ({ path, bytes }));
  const used = cache === undefined ? undefined : caching?.cacheFigures(cache, { received, reused });
  if (used !== undefined) recorder.cached(used);
  recorder.ended('done', {
    ...exposedPlaces({ device, ...(root !== undefined && { root }) }),
    onDemand: { bytes: figures.bytesOnDemand, blocks: figures.blocksOnDemand, handedOver },
  });
  try {
    reporter.result([target], told.onDemandJson(result, milliseconds, used));
  } catch (error) {
    // Who had read the device at first may have been left behind in the initrd: the journal of that is one.
    reporter.detail(reasonOf(error));
  }
  return summary;
}

async function download(
  { plan, access, display, cache }: Pull,
  { locations, stores }: Places,
  target: string,
): Promise<TransferResult> {
  const { request, existing, trust, limits, memory } = plan;
  const { verify, readOnly, overcommit } = request;
  const { sideFilesOf: sideFiles } = await import('../expose/side-files.ts');
  const force = existing === 'replaced';
  const wanted = { locations, target, verify, ...trust, readOnly, force, overcommit, limits, sideFiles };
  const options = { ...access, login: undefined };
  try {
    if (stores.length > 0) {
      const { downloadChunked } = await import('../on-demand/chunked-download.ts');
      const seeds = cache?.copies.seeds() ?? [];
      const image = { ...wanted, stores, seeds, keeper: cache?.keeper };
      return await downloadChunked(image, options, display.observe(target));
    }
    const { runTransfer } = await import('../transfer/transfer.ts');
    const type: FileType = request.type === 'raw' ? 'raw' : 'tar';
    const { json, verbose } = display.reporter.options;
    const file = { ...wanted, type, memory, copies: cache?.copies, tellsDigest: json || verbose };
    return await runTransfer(file, options, display.observe(target));
  } finally {
    display.end();
  }
}

/** The image is complete. Returns what a person is told of that. */
function tellPulled(
  { display, recorder }: Pull,
  result: TransferResult,
  milliseconds: number,
  cache: RecordedCache | undefined,
): string {
  display.completed();
  recorder.transferred(result);
  if (cache !== undefined) recorder.cached(cache);
  const summary = pulledSummary(result, milliseconds);
  display.reporter.info(summary, finishedEvent(result, milliseconds, cache));
  if (result.sha256 !== undefined) display.reporter.detail(`SHA-256 of what was received: ${result.sha256}`);
  return summary;
}

/** Attaches or mounts the image, if that was asked for. */
async function expose({ plan, access, display }: Pull, target: string): Promise<Exposed> {
  const exposed = await exposeImage(target, plan.exposure, {
    warn: display.reporter.warn,
    signal: access.signal,
  });
  tellExposed(display.reporter, target, exposed);
  return exposed;
}

/** The image is good and stays, so that nobody has to download it again. */
function withCompleteImage(error: unknown, target: string): RdpullError {
  const { code, message, hint } = RdpullError.from(error);
  return new RdpullError(code, message, `${hint}; the image itself is complete: ${printable(target)}`, {
    cause: error,
  });
}
