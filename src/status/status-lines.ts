import { printable, printableUpTo } from '../console/printable.ts';
import { percent } from '../console/progress-text.ts';
import { duration, size } from '../console/quantity.ts';
import { shellCommand } from '../console/shell-command.ts';
import { shownUrl } from '../console/shown-url.ts';
import type {
  RecordedCache,
  RecordedOnDemand,
  RecordedPromise,
  TransferRecord,
} from '../record/transfer-record.ts';
import { isNvmeUrl } from '../request/nvme-url.ts';
import { overlayPlace } from './overlay-status.ts';
import { retryOf } from './transfer-retry.ts';
import type { StatusReport, TransferState, TransferStatus } from './transfer-status.ts';

const WIDTH = 80;
const LABEL = 12;

/** A transfer that has not recorded any bytes for longer than this is said to stand still, in ms. */
const STANDSTILL = 10_000;

/** Characters of a message, of which a record may hold any number. */
const LONGEST_TEXT = 2000;

/** The first word of a block. */
const STATE_WORDS: Readonly<Record<TransferState, string>> = {
  running: 'running',
  done: 'done',
  kept: 'kept',
  skipped: 'skipped',
  failed: 'failed',
  interrupted: 'stopped',
  killed: 'killed',
  planned: 'planned',
  unrecorded: 'unknown',
};

/**
 * What a person is shown: a block for each transfer, for 80 columns. A command to be pasted is never broken.
 *
 * @param bootTime now, in ms since the boot
 */
export function statusLines({ overlay, transfers, unreadable }: StatusReport, bootTime: number): string[] {
  const blocks = transfers.map((transfer) => block(transfer, bootTime));
  const defects = unreadable.map(({ file, defect }) =>
    wrapped('unreadable', `the record ${printable(file)}: ${printable(defect)}`, ''),
  );
  const layers =
    overlay === undefined
      ? []
      : [wrapped('overlay', `on ${printable(overlay.mountPoint)}: ${overlayPlace(overlay)}`, '')];
  return [...blocks, ...layers, ...defects].flatMap((lines, index) => (index === 0 ? lines : ['', ...lines]));
}

/** Of such a disk nothing is downloaded. */
function isOnServer({ url = '' }: TransferRecord): boolean {
  return isNvmeUrl(url);
}

function block(transfer: TransferStatus, bootTime: number): string[] {
  const { state, target, record, unit, presence } = transfer;
  const line = (label: string, text: string | undefined) =>
    text === undefined ? [] : wrapped(label, text, '  ');
  const source = record?.url ?? unit?.source;
  const retry = retryOf(transfer);
  return [
    ...wrapped(STATE_WORDS[state], printable(target), ''),
    ...line('source', source === undefined ? undefined : shownUrl(source)),
    ...(record === undefined || isOnServer(record) ? [] : line('size', sizes(state, record))),
    ...(record?.onDemand === undefined ? [] : line('on demand', onDemand(state, record.onDemand))),
    ...(record?.cache === undefined ? [] : line('cache', cacheUse(record.cache))),
    ...(record === undefined ? [] : line('time', times(state, record, bootTime))),
    ...(record === undefined ? [] : line('verified', verification(state, record))),
    ...presence.devices.flatMap(({ device, mountPoint }) =>
      line('device', mountPoint === undefined ? device : `${device}, mounted on ${printable(mountPoint)}`),
    ),
    ...line('root', presence.devices.length === 0 ? undefined : record?.root),
    ...presence.mounts.flatMap((mount) => line('mount', printable(mount))),
    ...line('now', presenceNote(transfer)),
    ...line('why', reason(transfer)),
    ...line('try', longText(record?.error?.hint)),
    ...line('unit', unitName(transfer)),
    ...(retry === undefined ? [] : [`  ${'retry'.padEnd(LABEL - 2)}${retry}`]),
  ];
}

function sizes(state: TransferState, { received, decoded, total }: TransferRecord): string | undefined {
  if (state === 'kept' || state === 'skipped') return undefined;
  if (state === 'done') return `${size(received)} received, ${size(decoded)} written`;
  if (received === 0) return total === undefined ? undefined : `nothing of ${size(total)} yet`;
  if (total === undefined) return `${size(received)} received, of a length that is not known`;
  return `${size(received)} of ${size(total)} received (${percent(received, total)} %)`;
}

function onDemand(state: TransferState, { bytes, blocks, handedOver }: RecordedOnDemand): string {
  const read = `${size(bytes)} read by the system in ${blocks} ${blocks === 1 ? 'block' : 'blocks'}`;
  if (handedOver) return `${read}; complete, and handed over`;
  return state === 'running' ? `${read} so far` : read;
}

/** What of the image came out of the cache, and what becomes of it there. */
function cacheUse({ fetched, reused, image, triesLeft, why }: RecordedCache): string {
  const parts = [`${size(reused)} reused, ${size(fetched)} fetched`];
  if (image === undefined) parts.push('not kept');
  else parts.push(`${reused > 0 ? 'from' : 'kept as'} ${printable(image)}`);
  if (triesLeft !== undefined)
    parts.push(`${triesLeft === 1 ? 'one more boot' : `${triesLeft} more boots`} unless it comes up`);
  if (why !== undefined) parts.push(`in place of what the server has: ${printableUpTo(LONGEST_TEXT, why)}`);
  return parts.join('; ');
}

function times(state: TransferState, { begun, updated, received }: TransferRecord, bootTime: number): string {
  const taken = updated.boot - begun.boot;
  const when = `${duration(begun.boot)} after the boot, ${begun.wall.slice(0, 19).replace('T', ' ')} UTC`;
  if (state === 'running') {
    const rate = taken > 0 && received > 0 ? `, ${size((received * 1000) / taken)}/s on average` : '';
    const silence = bootTime - updated.boot;
    const still = silence > STANDSTILL ? `, nothing new for ${duration(silence)}` : '';
    return `${duration(Math.max(0, bootTime - begun.boot))} so far${rate}${still}; begun ${when}`;
  }
  return `${duration(taken)}; begun ${when}`;
}

function verification(state: TransferState, { verify, promised }: TransferRecord): string | undefined {
  if (state === 'kept' || state === 'skipped') return undefined;
  if (state !== 'done')
    return `${state === 'running' ? 'not yet' : 'no'}; asked for: verify=${printable(verify)}`;
  return promised === undefined ? 'no: verify=no was asked for' : voucher(promised);
}

function voucher({ manifestUrl, signedBy }: RecordedPromise): string {
  if (manifestUrl === undefined) return 'by the digest that was asked for';
  const list = `by ${shownUrl(manifestUrl)}`;
  if (signedBy === undefined) return `${list}, which nobody had to sign`;
  const { userId, fingerprint } = signedBy;
  return `${list}, signed by ${userId === undefined ? 'a key without a name' : printable(userId)} (${printable(fingerprint)})`;
}

/** What is not as the record says. */
function presenceNote({ state, record, presence }: TransferStatus): string | undefined {
  const { exists, gone } = presence;
  const notes: string[] = [];
  if (gone !== undefined)
    notes.push(
      `${printable(gone)} has it no more: it was ${record?.mount === gone ? 'unmounted' : 'detached'} since`,
    );
  if ((state === 'done' || state === 'kept') && !exists) notes.push('the image itself is gone');
  if (state !== 'done' && state !== 'kept' && state !== 'running' && exists) {
    notes.push('an image of this name is there');
  }
  return notes.length === 0 ? undefined : notes.join('; ');
}

function reason({ state, record, unit }: TransferStatus): string | undefined {
  switch (state) {
    case 'planned':
      return 'it has not begun';
    case 'unrecorded':
      return `its unit was started, but has left no record: journalctl -u ${shellCommand([unit?.name ?? ''])}`;
    case 'killed':
      return `its process (${record?.process.pid}) was killed: nothing else ends without a record. The kernel log says whether memory ran out`;
    case 'interrupted':
      return 'it was told to stop, by a person or by systemd';
    case 'running':
      return longText(record?.note);
    default:
      return longText(record?.error?.message ?? record?.note);
  }
}

function unitName({ record, unit }: TransferStatus): string | undefined {
  const name = unit?.name ?? record?.unit;
  return name === undefined ? undefined : printable(name);
}

function longText(text: string | undefined): string | undefined {
  return text === undefined ? undefined : printableUpTo(LONGEST_TEXT, text);
}

/** A line with a label, broken at spaces where it is too long. */
function wrapped(label: string, text: string, indent: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && LABEL + line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].map(
    (each, index) => `${(index === 0 ? `${indent}${label} ` : '').padEnd(LABEL)}${each}`,
  );
}
