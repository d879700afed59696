import fs from 'node:fs';
import { printable } from '../../console/printable.ts';
import { RdpullError, reasonOf } from '../../console/rdpull-error.ts';
import { type AttachedPartition, makePartition } from '../../expose/loop-device.ts';
import { announceLoopPartition, loopNumber } from '../../expose/loop-sysfs.ts';
import { deleteBlockPartition } from '../../kernel/block-partition.ts';
import { lockFile } from '../../kernel/file-lock.ts';
import { loopChangeFile } from '../../kernel/loop.ts';
import { isSystemError } from '../../kernel/system-error.ts';

export interface ChangeRequest {
  /** `/dev/loop3` */
  readonly device: string;
  /** Those that it has, and has to have afterwards. */
  readonly partitions: readonly AttachedPartition[];
  /** Whether one of them is mounted, or something is stacked on it. */
  readonly isPartitionUsed: boolean;
  /** The file that is put under the device. */
  readonly path: string;
  /** Bytes of the image. */
  readonly size: number;
}

const DEVICE_FLAGS = fs.constants.O_RDONLY | fs.constants.O_NONBLOCK | fs.constants.O_NOCTTY;

/** How long udev and others may look at the device meanwhile, in ms. */
const PATIENCE = 5000;
const PAUSE = 20;

/**
 * Puts a plain file under a loop device that has the same bytes. To be called in a thread that nobody's reads wait for.
 *
 * The kernel takes the device for a new disk then, and forgets the partitions, or looks for them again, as soon as somebody opens it
 * while none of them is open. So they all stay where one is used. Where none is, they are deleted before and made again after: they
 * stay from then on.
 *
 * @throws RdpullError loop-failed, file-unreadable; the device goes on with its former file then
 */
export async function changeFile(request: ChangeRequest): Promise<void> {
  const { device, path, size, partitions } = request;
  const file = openPlainFile(path, size);
  let disk: number | undefined;
  try {
    disk = fs.openSync(device, DEVICE_FLAGS);
    // udev looks at no device that somebody has locked. It must not find half of the partitions.
    await lockFile(disk, PATIENCE);
    if (request.isPartitionUsed || !(await deletePartitions(disk, device, partitions))) {
      changePinned(disk, file, partitions);
      return;
    }
    try {
      loopChangeFile(disk, file);
      // This finds out that the disk is another one, and nobody else does any more.
      fs.closeSync(fs.openSync(device, DEVICE_FLAGS));
    } finally {
      makePartitions(disk, device, partitions);
    }
    fs.closeSync(disk);
    disk = undefined;
    for (const { number } of partitions) announceLoopPartition(loopNumber(device), number);
  } catch (error) {
    if (error instanceof RdpullError) throw error;
    throw new RdpullError(
      'loop-failed',
      `${printable(path)} cannot be put under ${device}: ${reasonOf(error)}`,
      'look into the kernel log with dmesg',
      { cause: error },
    );
  } finally {
    if (disk !== undefined) fs.closeSync(disk);
    fs.closeSync(file);
  }
}

function openPlainFile(path: string, size: number): number {
  const file = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  const stat = fs.fstatSync(file);
  if (stat.isFile() && stat.size === size) return file;
  fs.closeSync(file);
  throw new RdpullError(
    'loop-failed',
    `${printable(path)} is not the image: it has ${stat.size} bytes, and the image ${size}`,
    'keep others from changing it, and pull again',
  );
}

/** With all partitions open, so that none goes. */
function changePinned(disk: number, file: number, partitions: readonly AttachedPartition[]): void {
  const pins = partitions.map(({ path }) => fs.openSync(path, DEVICE_FLAGS));
  try {
    loopChangeFile(disk, file);
  } finally {
    for (const pin of pins) fs.closeSync(pin);
  }
}

/** @returns false, with all partitions as they were, when one of them is used after all */
async function deletePartitions(
  disk: number,
  device: string,
  partitions: readonly AttachedPartition[],
): Promise<boolean> {
  const deadline = performance.now() + PATIENCE;
  for (const [index, { number }] of partitions.entries()) {
    while (!tryDelete(disk, number)) {
      if (performance.now() >= deadline) {
        makePartitions(disk, device, partitions.slice(0, index));
        return false;
      }
      await Bun.sleep(PAUSE);
    }
  }
  return true;
}

/** @returns false when somebody has it open */
function tryDelete(disk: number, number: number): boolean {
  try {
    deleteBlockPartition(disk, number);
    return true;
  } catch (error) {
    if (isSystemError(error, 'EBUSY')) return false;
    if (isSystemError(error, 'ENXIO')) return true;
    throw error;
  }
}

/** Those that the kernel has not found itself. */
function makePartitions(disk: number, device: string, partitions: readonly AttachedPartition[]): void {
  const held = { fd: disk, path: device, number: loopNumber(device) };
  for (const partition of partitions) makePartition(held, partition);
}
