import fs from 'node:fs';
import path from 'node:path';
import { printable } from '../console/printable.ts';
import { RdpullError, reasonOf } from '../console/rdpull-error.ts';
import { shellWord } from '../console/shell-command.ts';
import { deleteBlockPartition } from '../kernel/block-partition.ts';
import { tryLockFile } from '../kernel/file-lock.ts';
import {
  LO_FLAGS_AUTOCLEAR,
  loopClear,
  loopControlRemove,
  loopGetStatus,
  loopSetStatus,
} from '../kernel/loop.ts';
import { isSystemError } from '../kernel/system-error.ts';
import { statFile } from './image-file.ts';
import { notRoot, withLoopControl } from './loop-control.ts';
import { findLoopMount } from './loop-mounts.ts';
import { findLoopDevices, findLoopNumbers } from './loop-search.ts';
import {
  isLoopAutoclear,
  type LoopBinding,
  loopBinding,
  loopDevicePath,
  loopPartitions,
} from './loop-sysfs.ts';

export interface DetachedLoopDevice {
  /** `/dev/loop3` */
  readonly device: string;
  /** As the kernel saw it: ends in ` (deleted)` when the file is no more. */
  readonly backingFile: string;
}

/** Milliseconds. */
const PATIENCE = 5000;
const PAUSE_MAX = 250;

/**
 * Detaches a loop device with its partitions, named by itself (`/dev/loop3`, or a link to it) or by the file it was
 * attached from; of several devices the one with the highest number. Others, udev for one, are given `patience`
 * milliseconds to let go of it, or as long as `signal` is not aborted.
 *
 * @throws RdpullError `loop-not-attached`, `target-busy` (mounted, or in other use), `file-not-found`,
 * `file-unreadable`, `bad-argument`, `not-root`, `loop-missing`, `loop-failed`
 */
export async function detachLoopDevice(
  fileOrDevice: string,
  { patience = PATIENCE, signal }: { readonly patience?: number; readonly signal?: AbortSignal } = {},
): Promise<DetachedLoopDevice> {
  try {
    return await detach(fileOrDevice, patience, signal);
  } catch (error) {
    if (error instanceof RdpullError || !(error instanceof Error && 'code' in error)) throw error;
    if (isSystemError(error, 'EPERM', 'EACCES')) throw notRoot('detaching a loop device', error);
    throw new RdpullError(
      'loop-failed',
      `${printable(fileOrDevice)} could not be detached: ${reasonOf(error)}`,
      'look into the kernel log with dmesg',
      { cause: error },
    );
  }
}

async function detach(
  fileOrDevice: string,
  patience: number,
  signal: AbortSignal | undefined,
): Promise<DetachedLoopDevice> {
  const number = loopNumberOf(fileOrDevice);
  const device = loopDevicePath(number);
  const binding = loopBinding(number);
  if (binding === undefined) throw notAttached(`nothing is attached to ${device}`);

  const deadline = performance.now() + patience;
  while (!(await withLoopControl(() => unbind(number, binding), signal))) {
    // No use waiting for an unmount. Anything else may be udev, or a program about to end.
    if (findLoopMount(number) !== undefined || performance.now() >= deadline) throw inUse(number);
    await Bun.sleep(Math.random() * PAUSE_MAX);
    signal?.throwIfAborted();
  }
  while (!(await withLoopControl((controlFd) => removeUnbound(controlFd, number, binding), signal))) {
    if (performance.now() >= deadline) {
      throw new RdpullError(
        'target-busy',
        `${device} is still open in another program; the kernel detaches it when that closes it`,
        `find out which one: fuser -v ${[device, ...loopPartitions(number).map(({ path }) => path)].join(' ')}`,
      );
    }
    await Bun.sleep(Math.random() * PAUSE_MAX);
    signal?.throwIfAborted();
  }
  return { device, backingFile: binding.backingFile };
}

function loopNumberOf(fileOrDevice: string): number {
  // An image that is read on demand has its name before it has its place; one that was removed still has it.
  const named = fs.existsSync(fileOrDevice) ? undefined : findLoopNumbers(fileOrDevice).at(-1);
  if (named !== undefined) return named;
  const stat = statFile(fileOrDevice);
  if (stat.isBlockDevice()) {
    const name = path.basename(fs.realpathSync(`/sys/dev/block/${major(stat.rdev)}:${minor(stat.rdev)}`));
    const [, number, partition] = /^loop(\d+)(p\d+)?$/.exec(name) ?? [];
    if (number === undefined) {
      // What the firmware has left in memory is attached where it lies.
      const last = findLoopDevices(fileOrDevice).at(-1);
      if (last === undefined) throw notAttached(`${printable(fileOrDevice)} is not a loop device`);
      return last.number;
    }
    if (partition !== undefined) {
      throw new RdpullError(
        'bad-argument',
        `${printable(fileOrDevice)} is a partition and cannot be detached by itself`,
        `name the whole device: ${loopDevicePath(Number(number))}`,
      );
    }
    return Number(number);
  }
  const last = findLoopDevices(fileOrDevice).at(-1);
  if (last === undefined) throw notAttached(`${printable(fileOrDevice)} is not attached to a loop device`);
  return last.number;
}

/** `false` when somebody else claims the device; then nothing was changed. */
function unbind(number: number, binding: LoopBinding): boolean {
  const device = loopDevicePath(number);
  let fd: number;
  try {
    // With O_EXCL the kernel itself says whether the device or a partition is mounted, in any namespace, swapped on
    // or stacked on; and keeps it so.
    fd = fs.openSync(device, fs.constants.O_RDONLY | fs.constants.O_EXCL | fs.constants.O_NONBLOCK);
  } catch (error) {
    if (isSystemError(error, 'EBUSY')) return false;
    throw error;
  }
  try {
    if (!tryLockFile(fd)) return false;
    if (!isBoundAs(number, binding))
      throw notAttached(`${printable(binding.backingFile)} is not attached to ${device} any more`);
    // From here on a crash leaves the rest to the kernel.
    const status = loopGetStatus(fd);
    loopSetStatus(fd, { ...status, flags: status.flags | LO_FLAGS_AUTOCLEAR });
    for (const partition of loopPartitions(number)) deletePartition(fd, partition.number);
    loopClear(fd);
    return true;
  } finally {
    fs.closeSync(fd);
  }
}

/** A partition that a program still reads goes when the kernel unbinds the device. */
function deletePartition(fd: number, number: number): void {
  try {
    deleteBlockPartition(fd, number);
  } catch (error) {
    if (!isSystemError(error, 'EBUSY', 'ENXIO')) throw error;
  }
}

/** `false` while the file is still bound. Otherwise removes the free device, as a courtesy: it may be in use again. */
function removeUnbound(controlFd: number, number: number, binding: LoopBinding): boolean {
  // Others may have the device by now, and even for the same file. Theirs stays, so it is not cleared by itself.
  if (isBoundAs(number, binding) && isLoopAutoclear(number)) return false;
  try {
    loopControlRemove(controlFd, number);
  } catch (error) {
    if (!isSystemError(error, 'EBUSY', 'ENODEV', 'ENXIO')) throw error;
  }
  return true;
}

function isBoundAs(number: number, binding: LoopBinding): boolean {
  const now = loopBinding(number);
  if (now?.sequence === undefined) return now?.backingFile === binding.backingFile;
  // Not the file's name: that changes when the file is removed.
  return now.sequence === binding.sequence;
}

function notAttached(message: string): RdpullError {
  return new RdpullError('loop-not-attached', message, 'see what is attached with: losetup -l');
}

function inUse(number: number): RdpullError {
  const device = loopDevicePath(number);
  const mount = findLoopMount(number);
  if (mount !== undefined) {
    return new RdpullError(
      'target-busy',
      `${device} cannot be detached: ${mount.device} is mounted on ${printable(mount.mountPoint)}`,
      `unmount it first: umount ${shellWord(mount.mountPoint)}`,
    );
  }
  return new RdpullError(
    'target-busy',
    `${device} cannot be detached: another device, another program or a mount in another namespace has claimed it`,
    `find out which: lsblk ${device}; fuser -v ${device}; grep ${path.basename(device)} /proc/*/mountinfo`,
  );
}

/** The dev_t of glibc: makedev(3). */
function major(device: bigint): bigint {
  return ((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n);
}

function minor(device: bigint): bigint {
  return (device & 0xffn) | ((device >> 12n) & 0xffffff00n);
}
