import { basename } from 'node:path/posix';
import { percent } from '../console/progress-text.ts';
import { duration, share, size } from '../console/quantity.ts';
import { type Boot, foremostPull, type Machine, type Stage, stageOf } from './machine.ts';
import type { PullState } from './pull-state.ts';

/** How a stage looks: something goes on, it has come out well or badly, or nobody knows. */
type Tone = 'busy' | 'good' | 'bad' | 'idle';

const TONES: Readonly<Record<Stage, Tone>> = {
  'loading the UKI': 'busy',
  'booting the UKI': 'busy',
  waiting: 'busy',
  pulling: 'busy',
  // All that was asked for may be done: a pull by hand ends here.
  verified: 'idle',
  attached: 'idle',
  kept: 'idle',
  'root mounted': 'busy',
  'root switched to': 'good',
  failed: 'bad',
  interrupted: 'idle',
};

/** A part of the time of a boot. */
export interface SpanView {
  readonly name: 'Firmware' | 'UKI' | 'Network' | 'Transfer' | 'Attach' | 'Root' | 'In all';
  readonly text: string;
}

/** One boot of a machine, for the page. Texts are empty where nothing is known. */
export interface BootView {
  /** In ms since 1970. */
  readonly begun: number;
  readonly stage: string;
  readonly tone: Tone;
  readonly image: string;
  readonly spans: readonly SpanView[];
}

/** One machine, for the page: all of it is text, and shown as such. */
export interface MachineView {
  readonly row: number;
  readonly address: string;
  readonly name: string;
  readonly serial: string;
  readonly uki: string;
  readonly image: string;
  readonly stage: string;
  readonly tone: Tone;
  /** null where there is nothing to be a part of. */
  readonly percent: number | null;
  readonly amount: string;
  readonly speed: string;
  readonly verifiedBy: string;
  /** Why another image is used than the one that the server has. */
  readonly note: string;
  readonly since: number;
  /** When it was heard of last, in ms since 1970. */
  readonly updated: number;
  readonly failure: {
    readonly error: string;
    readonly message: string;
    readonly hint: string;
    readonly retry: string;
  } | null;
  readonly boots: readonly BootView[];
}

export function machineView(machine: Machine): MachineView {
  const { row, address, boot, boots } = machine;
  const pull = boot === undefined ? undefined : foremostPull(boot);
  const { name = '', serial = '', uki = boot?.uki?.path ?? '' } = boot?.about ?? {};
  const failure = pull?.failure;
  const stage = boot === undefined ? undefined : stageOf(boot);
  return {
    ...{ row, address, name, serial, uki: basename(uki) },
    image: imageOf(boot, pull),
    stage: stage ?? '',
    tone: stage === undefined ? 'idle' : TONES[stage],
    ...progressOf(boot, pull),
    verifiedBy: voucherOf(pull),
    note: pull?.note ?? '',
    since: boot?.begun ?? 0,
    updated: boot?.updated ?? 0,
    failure:
      failure === undefined
        ? null
        : {
            error: failure.error ?? '',
            message: failure.message ?? '',
            hint: failure.hint ?? '',
            retry: failure.retry ?? '',
          },
    boots: boots.map(bootView),
  };
}

function imageOf(boot: Boot | undefined, pull: PullState | undefined): string {
  if (boot === undefined || pull === undefined) return '';
  const url = pull.known.url;
  const image = basename(url?.replace(/[?#].*$/s, '') ?? pull.target);
  const others = boot.pulls.length - 1;
  return others === 0 ? image : `${image}, and ${others} more`;
}

function progressOf(
  boot: Boot | undefined,
  pull: PullState | undefined,
): Pick<MachineView, 'percent' | 'amount' | 'speed'> {
  const uki = boot?.uki;
  if (boot !== undefined && uki !== undefined && stageOf(boot) === 'loading the UKI') {
    return { percent: percent(uki.sent, uki.size), amount: share(uki.sent, uki.size), speed: '' };
  }
  if (pull === undefined) return { percent: null, amount: '', speed: '' };
  const { received, size: total, rate, bytesOnDemand } = pull.known;
  const isDone = pull.finishedAt !== undefined;
  const onDemand = bytesOnDemand === undefined ? '' : `, ${size(bytesOnDemand)} read on demand`;
  if (received === undefined && total === undefined) return { percent: null, amount: '', speed: '' };
  if (isDone) return { percent: 100, amount: `${size(received ?? total ?? 0)}${onDemand}`, speed: '' };
  const done = received ?? 0;
  const left =
    rate === undefined || rate === 0 || total === undefined
      ? ''
      : `, ${duration((Math.max(0, total - done) * 1000) / rate)} left`;
  const isMoving = pull.failure === undefined && rate !== undefined;
  return {
    percent: total === undefined ? null : percent(done, total),
    amount: (total === undefined ? size(done) : share(done, total)) + onDemand,
    speed: isMoving ? `${size(rate)}/s${left}` : '',
  };
}

function voucherOf(pull: PullState | undefined): string {
  const { verifiedBy, signedBy, manifestUrl } = pull?.known ?? {};
  switch (verifiedBy) {
    case undefined:
      return '';
    case 'signature':
      return `signature of ${signedBy ?? 'somebody'}`;
    case 'checksum':
      return `checksum in ${basename(manifestUrl ?? '')}, which nobody has signed`;
    case 'sha256':
      return 'the digest that was demanded';
    default:
      return verifiedBy;
  }
}

function bootView(boot: Boot): BootView {
  const pull = foremostPull(boot);
  const { begun } = boot;
  const stage = stageOf(boot);
  return { begun, stage, tone: TONES[stage], image: imageOf(boot, pull), spans: spansOf(boot, pull) };
}

/** Where the time of a boot went, as far as the machine has said it, and this server has seen it. */
function spansOf({ about, uki, switchedAt }: Boot, pull: PullState | undefined): SpanView[] {
  const { startedAt, finishedAt, exposedAt } = pull ?? {};
  const fetched = uki?.ended === undefined ? undefined : uki.ended - uki.begun;
  // What it wrote down ends with the start of the kernel, and has the download of the UKI in it.
  const firmware = about?.firmware === undefined ? undefined : about.firmware - (fetched ?? 0);
  const end = switchedAt ?? exposedAt ?? finishedAt;
  const spans: (readonly [SpanView['name'], number | undefined])[] = [
    ['Firmware', firmware],
    ['UKI', fetched],
    ['Network', startedAt],
    ['Transfer', between(startedAt, finishedAt)],
    ['Attach', between(finishedAt, exposedAt)],
    ['Root', between(exposedAt ?? finishedAt, switchedAt)],
    ['In all', end === undefined ? undefined : (about?.firmware ?? fetched ?? 0) + end],
  ];
  return spans.flatMap(([name, time]) =>
    time === undefined || time < 0 ? [] : [{ name, text: duration(time) }],
  );
}

function between(start: number | undefined, end: number | undefined): number | undefined {
  return start === undefined || end === undefined ? undefined : end - start;
}
