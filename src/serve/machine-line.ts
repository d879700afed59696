import { basename } from 'node:path/posix';
import { percent } from '../console/progress-text.ts';
import { duration, share, size } from '../console/quantity.ts';
import type { EventLine } from '../report/report-line.ts';
import { type Boot, foremostPull, type Machine, stageOf } from './machine.ts';

/** `192.0.2.7 (node3)` */
function machineName({ address, boot }: Machine): string {
  const { name, serial } = boot?.about ?? {};
  const what = name ?? serial;
  return what === undefined ? address : `${address} (${what})`;
}

/** Lines that stay, of something that a machine has told; none of how far it is. */
export function eventLines(machine: Machine, { event, message, hint, retry }: EventLine): string[] {
  if (event === 'progress') return [];
  const who = machineName(machine);
  const isFailure = event === 'failed' || event === 'image-broken';
  return [
    `${who}  ${isFailure ? 'error: ' : ''}${message ?? event}`,
    ...(hint === undefined || !isFailure ? [] : [`${who}  try: ${hint}`]),
    ...(retry === undefined || !isFailure ? [] : [`${who}  retry: ${retry}`]),
  ];
}

/** After how long a machine that should be telling how far it is has fallen silent, in ms. */
const SILENCE = 30_000;

/**
 * `192.0.2.7 (node3)  pulling root.raw  37 %, 58.2 of 158 MiB, 11.2 MiB/s, 9.0 s left`; undefined for one that pulls nothing.
 *
 * @param now in ms since 1970
 */
export function machineRow(machine: Machine, now: number = Date.now()): string | undefined {
  const { boot } = machine;
  const row = boot === undefined ? undefined : progressRow(machine, boot);
  if (boot === undefined || row === undefined) return undefined;
  const silent = now - boot.updated;
  return silent < SILENCE ? row : `${row}, silent for ${duration(silent)}`;
}

function progressRow(machine: Machine, boot: Boot): string | undefined {
  const { uki } = boot;
  const stage = stageOf(boot);
  if (stage === 'loading the UKI' && uki !== undefined) {
    return `${machineName(machine)}  loading ${basename(uki.path)}  ${figures(uki.sent, uki.size, undefined)}`;
  }
  const pull = foremostPull(boot);
  // What is read on demand is attached, and still on its way.
  const goesOn = pull?.phase === 'pulling' || (pull?.phase === 'attached' && pull.finishedAt === undefined);
  if (pull === undefined || !goesOn) return undefined;
  const { received = 0, size: total, rate } = pull.known;
  return `${machineName(machine)}  pulling ${basename(pull.target)}  ${figures(received, total, rate)}`;
}

function figures(done: number, total: number | undefined, rate: number | undefined): string {
  const parts = total === undefined ? [size(done)] : [`${percent(done, total)} %`, share(done, total)];
  if (rate !== undefined) parts.push(`${size(rate)}/s`);
  if (rate !== undefined && rate > 0 && total !== undefined) {
    parts.push(`${duration((Math.max(0, total - done) * 1000) / rate)} left`);
  }
  return parts.join(', ');
}
