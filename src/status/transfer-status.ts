import fs from 'node:fs';
import path from 'node:path';
import { findLoopMount } from '../expose/loop-mounts.ts';
import { findLoopNumbers } from '../expose/loop-search.ts';
import { loopDevicePath } from '../expose/loop-sysfs.ts';
import { mountsOf, readMounts } from '../kernel/mount-points.ts';
import { controllersOf, deviceNumbers } from '../nvme/controllers.ts';
import { isAlive } from '../record/process-identity.ts';
import { type ReadRecord, readRecords } from '../record/record-file.ts';
import type { RecordedState, TransferRecord } from '../record/transfer-record.ts';
import { isNvmeUrl } from '../request/nvme-url.ts';
import { type GeneratedUnit, readGeneratedUnits } from './generated-unit.ts';
import { type OverlayStatus, readOverlay } from './overlay-status.ts';

/**
 * How a transfer stands: as recorded; `killed`, when its process is gone without having said so; `planned`, when its unit
 * has not been started; `unrecorded`, when it has been, and nothing more is known.
 */
export type TransferState = RecordedState | 'killed' | 'planned' | 'unrecorded';

/** Where an image is to be found now, whatever the record says. */
export interface Presence {
  /** Whether there is a file or a tree of this name. */
  readonly exists: boolean;
  readonly devices: readonly { readonly device: string; readonly mountPoint?: string }[];
  /** Where the tree is mounted. */
  readonly mounts: readonly string[];
  /** The loop device or mount point that the record names, and that has it no more. */
  readonly gone?: string;
}

export interface TransferStatus {
  readonly state: TransferState;
  readonly target: string;
  readonly record?: TransferRecord;
  readonly unit?: GeneratedUnit;
  readonly presence: Presence;
}

export interface StatusReport {
  /** The overlay that makes the root writable. */
  readonly overlay?: OverlayStatus;
  readonly transfers: readonly TransferStatus[];
  readonly unreadable: readonly { readonly file: string; readonly defect: string }[];
}

/**
 * The transfers of this boot: what the pulls have recorded, joined with what the generator has planned. systemd itself is
 * not asked, so that this works without D-Bus, without systemctl, and while systemd is busy.
 *
 * @throws Error of node:fs when the records are there and cannot be read
 */
export function readStatus(): StatusReport {
  const units = new Map(readGeneratedUnits().map((unit) => [unit.target, unit]));
  const read = readRecords();
  const records = read.flatMap((each) => ('record' in each ? each.record : []));
  records.sort((a, b) => a.begun.boot - b.begun.boot);
  const recorded = records.map((record): TransferStatus => {
    const unit = units.get(record.target);
    units.delete(record.target);
    return {
      state: record.state === 'running' && !isAlive(record.process) ? 'killed' : record.state,
      target: record.target,
      record,
      ...(unit !== undefined && { unit }),
      presence: presenceOf(record.target, record),
    };
  });
  const others = [...units.values()].map(
    (unit): TransferStatus => ({
      state: unit.wasStarted ? 'unrecorded' : 'planned',
      target: unit.target,
      unit,
      presence: presenceOf(unit.target, undefined),
    }),
  );
  const overlay = readOverlay();
  return {
    ...(overlay !== undefined && { overlay }),
    transfers: [...recorded, ...others],
    unreadable: read.filter(isUnreadable),
  };
}

/** Whether a transfer came to its end, and nothing is left of what it brought. */
export function isGone({ state, presence: { exists, devices, mounts } }: TransferStatus): boolean {
  return (state === 'done' || state === 'kept') && !exists && devices.length + mounts.length === 0;
}

function isUnreadable(each: ReadRecord): each is Extract<ReadRecord, { readonly defect: string }> {
  return 'defect' in each;
}

function presenceOf(target: string, record: TransferRecord | undefined): Presence {
  if (isNvmeUrl(record?.url ?? '')) return presenceOnServer(record?.device);
  const stat = statTarget(target);
  const devices = stat?.isDirectory() === true ? [] : loopDevicesOf(target);
  const mounts = stat?.isDirectory() === true ? mountsOf(target) : [];
  const { device, mount } = record ?? {};
  // After switch-root the mount point has another name: it is enough that there is one.
  const isGone =
    device !== undefined
      ? !devices.some((each) => each.device === device)
      : mount !== undefined && mounts.length === 0;
  const gone = isGone ? (device ?? mount) : undefined;
  return { exists: stat !== undefined, devices, mounts, ...(gone !== undefined && { gone }) };
}

/** Of a disk that stays on its server, only the device is here. */
function presenceOnServer(device: string | undefined): Presence {
  const nothing = { exists: false, devices: [], mounts: [] };
  if (device === undefined) return nothing;
  const disk = path.basename(device);
  if (controllersOf(disk).length === 0) return { ...nothing, gone: device };
  const numbers = deviceNumbers(disk);
  const mount = readMounts().find((each) => numbers.includes(each.device));
  return {
    exists: true,
    devices: [{ device, ...(mount !== undefined && { mountPoint: mount.mountPoint }) }],
    mounts: [],
  };
}

function statTarget(target: string): fs.Stats | undefined {
  try {
    return fs.statSync(target, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

function loopDevicesOf(target: string): Presence['devices'] {
  return findLoopNumbers(target).map((number) => {
    const mount = findLoopMount(number);
    return { device: loopDevicePath(number), ...(mount !== undefined && { mountPoint: mount.mountPoint }) };
  });
}
