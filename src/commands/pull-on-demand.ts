import fs from 'node:fs';
import { printable } from '../console/printable.ts';
import { duration, size } from '../console/quantity.ts';
import { shownUrl, withoutSecrets } from '../console/shown-url.ts';
import type { FetchFigures } from '../on-demand/fetch/fetch-figures.ts';
import type { OnDemandResult } from '../on-demand/on-demand-pull.ts';
import type { OnDemandRequest } from '../on-demand/on-demand-request.ts';
import type { WholeDownload } from '../on-demand/plan-on-demand.ts';
import { unitOfThisProcess } from '../record/own-unit.ts';
import type { RecordedCache } from '../record/transfer-record.ts';
import { inInitrd } from '../request/initrd.ts';
import type { OnDemand } from '../request/on-demand.ts';
import { exposedJson } from './exposed.ts';
import type { OnDemandFiguresJson, OnDemandJson } from './json-results.ts';
import { cacheJson } from './pull-outcome.ts';
import type { PullPlan } from './pull-plan.ts';
import { vouched } from './vouched.ts';

/** What the room of `on-demand` is asked for. */
export async function onDemandPull(
  { request, existing, trust, limits, exposure }: PullPlan,
  onDemand: OnDemand,
  places: Pick<OnDemandRequest, 'locations' | 'stores' | 'seeds' | 'keeper'>,
  target: string,
): Promise<OnDemandRequest> {
  const { sideFilesOf } = await import('../expose/side-files.ts');
  const { verify, overcommit } = request;
  return {
    ...{ ...places, verify, ...trust, target, onDemand, overcommit, limits },
    rootLink: exposure.rootLink,
    force: existing === 'replaced',
    sideFiles: sideFilesOf,
    commandLine: process.env['SYSTEMD_PROC_CMDLINE'] ?? fs.readFileSync('/proc/cmdline', 'utf8'),
    inInitrd: inInitrd(),
    unit: unitOfThisProcess(),
  };
}

/** What a person is told where it is not required. */
export function downloadedWhole({ what, remedy }: WholeDownload): string {
  return `${what}: it is downloaded whole, and not read on demand (${remedy})`;
}

/** What a person is told at the end, in one line. */
export function onDemandSummary(
  { target, promised, figures, handedOver }: OnDemandResult,
  milliseconds: number,
): string {
  const { fetched, size: bytes } = figures;
  return `${printable(target)}: complete in ${duration(milliseconds)}, ${size(fetched)} received, ${size(bytes)} written, ${readOnDemand(figures)}, ${handedOver ? 'handed over' : 'detached'}, ${vouched(promised)}`;
}

/** `12 blocks read on demand` */
function readOnDemand({ blocksOnDemand }: FetchFigures): string {
  return `${blocksOnDemand} ${blocksOnDemand === 1 ? 'block' : 'blocks'} read on demand`;
}

/** The same for the journal. */
export function onDemandEvent(
  { url, target, decoded, sha256, promised, figures }: OnDemandResult,
  milliseconds: number,
) {
  return {
    event: 'handed-over',
    url: shownUrl(url),
    target,
    received: figures.fetched,
    written: decoded,
    milliseconds,
    sha256,
    manifestUrl: promised?.manifestUrl === undefined ? undefined : shownUrl(promised.manifestUrl),
    signedBy: promised?.signedBy?.fingerprint,
    blocksOnDemand: figures.blocksOnDemand,
    bytesOnDemand: figures.bytesOnDemand,
  } as const;
}

/** The last line of `--json`. */
export function onDemandJson(
  result: OnDemandResult,
  milliseconds: number,
  cache: RecordedCache | undefined,
): OnDemandJson {
  const { target, decoded, format, sha256, promised, figures, device, root, handedOver } = result;
  return {
    event: 'complete',
    target,
    url: withoutSecrets(result.url),
    received: figures.fetched,
    decoded,
    entries: 1,
    compression: format === 'xz' || format === 'zstd' ? format : 'none',
    format: format === 'qcow2' || format === 'caibx' ? format : 'raw',
    ...(sha256 !== undefined && { sha256 }),
    promised,
    milliseconds,
    onDemand: figuresJson(figures, handedOver),
    ...(cache !== undefined && { cache: cacheJson(cache) }),
    ...exposedJson({ device, ...(root !== undefined && { root }) }),
  };
}

function figuresJson(figures: FetchFigures, handedOver: boolean): OnDemandFiguresJson {
  const { blocks, blocksOnDemand, bytesOnDemand, requests } = figures;
  return { blocks: blocksOnDemand, bytes: bytesOnDemand, ofBlocks: blocks, requests, handedOver };
}
