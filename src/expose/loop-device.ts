import fs from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import { printable } from '../console/printable.ts';
import { RdpullError, reasonOf } from '../console/rdpull-error.ts';
import { addBlockPartition, deleteBlockPartition } from '../kernel/block-partition.ts';
import { tryLockFile } from '../kernel/file-lock.ts';
import {
  LO_FLAGS_AUTOCLEAR,
  LO_FLAGS_DIRECT_IO,
  LO_FLAGS_PARTSCAN,
  LO_FLAGS_READ_ONLY,
  LO_NAME_SIZE,
  loopConfigure,
  loopControlGetFree,
  loopGetStatus,
  loopSetStatus,
} from '../kernel/loop.ts';
import { isSystemError, SystemCallError } from '../kernel/system-error.ts';
import { imageBytes } from './image-bytes.ts';
import { openImageFile } from './image-file.ts';
import { type ImageLayout, identifyImage } from './image-layout.ts';
import { notRoot, requireLoopControl, withLoopControl } from './loop-control.ts';
import { loopDevicePath, loopPartitions, loopSectorSize } from './loop-sysfs.ts';
import type { Partition } from './partition-table.ts';

export interface LoopAttachRequest {
  /** The raw image: a GPT, an MBR or one bare file system. */
  readonly path: string;
  /** Opens the image for reading only and makes the device refuse writes. */
  readonly readOnly: boolean;
  /** The name under /dev/disk/by-loop-ref/; the file's own name unless given. */
  readonly loopRef?: string;
  /** Bypasses the page cache below the device where the file system can; on unless `$SYSTEMD_LOOP_DIRECT_IO=0`. */
  readonly directIo?: boolean;
  /** Is told what the user should know although it is no failure. */
  readonly warn?: (message: string) => void;
  /** Ends the wait for others who are busy with loop devices. */
  readonly signal?: AbortSignal;
}

export interface AttachedPartition extends Partition {
  /** `/dev/loop3p1` */
  readonly path: string;
}

export interface AttachedLoopDevice {
  /** `/dev/loop3` */
  readonly device: string;
  /** Also true when writing was asked for and the image could not be opened for it. */
  readonly readOnly: boolean;
  /** Whether the kernel does bypass the page cache. */
  readonly directIo: boolean;
  /** Of the device, in bytes. */
  readonly sectorSize: number;
  readonly kind: ImageLayout['kind'];
  /** The one bare file system, for `kind` `file-system`: mount(8)'s name for it. */
  readonly fileSystem?: string;
  readonly partitions: readonly AttachedPartition[];
}

/** A device that is ours while it is set up. Closing the descriptors lets go of it, and of its binding (AUTOCLEAR). */
interface HeldDevice {
  readonly number: number;
  readonly path: string;
  /** Open for writing: closing it makes udev look at the device again. */
  readonly fd: number;
  /**
   * Carries the lock that keeps udev away. A descriptor of its own, because it must go before `fd`: what udev starts
   * on the close of `fd` must find no lock.
   */
  readonly lockFd: number;
}

const DEVICE_FLAGS = fs.constants.O_NONBLOCK | fs.constants.O_NOCTTY;

/** Others may take the free device first, or be busy with it. As many tries as systemd's, and as long a pause. */
const ATTEMPTS = 64;
const PAUSE_MAX = 250;
const TRANSIENT = ['EBUSY', 'ENODEV', 'ENXIO', 'ENOENT'];

/** udev takes a name that fills `lo_file_name` for a truncated one and makes no link. Bytes. */
const LOOP_REF_MAX = LO_NAME_SIZE - 2;

/**
 * Attaches an image to a free loop device and makes its partitions, whether or not the kernel can read partition
 * tables. The device becomes visible to udev when all of it is there: it is locked until then. It survives this
 * process; if the process dies before the end the kernel takes everything back.
 *
 * @throws RdpullError `file-not-found`, `file-unreadable`, `bad-argument`, `image-unrecognised`, `not-root`,
 * `loop-missing`, `loop-failed`; after any of them no device and no partition remains
 */
export async function attachLoopDevice(request: LoopAttachRequest): Promise<AttachedLoopDevice> {
  const { path: imagePath, warn } = request;
  const loopRef = loopRefBytes(request.loopRef ?? path.basename(imagePath), warn);
  requireLoopControl();
  const image = openImageFile(imagePath, request.readOnly);
  try {
    if (image.readOnly && !request.readOnly) {
      warn?.(`${printable(imagePath)} cannot be opened for writing: it is attached read-only`);
    }
    const bytes = imageBytes(image.fd);
    const layout = identifyImage(bytes, imagePath);
    for (const oddity of layout.oddities ?? []) {
      warn?.(`${printable(imagePath)}: damaged partition table: ${oddity}`);
    }
    const rest = bytes.size % layout.sectorSize;
    if (rest !== 0) {
      warn?.(
        `${printable(imagePath)} does not end with a whole sector: its last ${rest} bytes are not on the device`,
      );
    }
    return await bindLoopDevice({
      path: imagePath,
      fd: image.fd,
      layout,
      readOnly: image.readOnly,
      directIo: request.directIo ?? directIoWanted(process.env),
      scansPartitions: true,
      loopRef,
      ...(request.signal !== undefined && { signal: request.signal }),
    });
  } finally {
    fs.closeSync(image.fd);
  }
}

/** An open file, and the device that is made of it. */
export interface LoopBindRequest {
  /** What the file is called, for messages. */
  readonly path: string;
  readonly fd: number;
  readonly layout: ImageLayout;
  readonly readOnly: boolean;
  readonly directIo: boolean;
  /**
   * Whether the kernel is to look for partitions by itself as well, when the device is opened for the first time and whenever it
   * seems to have changed.
   */
  readonly scansPartitions: boolean;
  /** Of {@link loopRefBytes}. */
  readonly loopRef: Uint8Array;
  /** What of the file is on the device, in bytes; without it, all of it. */
  readonly part?: { readonly start: number; readonly size: number };
  readonly signal?: AbortSignal;
}

/**
 * Binds an open file to a free loop device, as {@link attachLoopDevice} does. Reads nothing of it, unless `scansPartitions`.
 *
 * @throws RdpullError `not-root`, `loop-missing`, `loop-failed`; after any of them no device and no partition remains
 */
export async function bindLoopDevice(request: LoopBindRequest): Promise<AttachedLoopDevice> {
  try {
    const device = await bindFreeDevice(request);
    try {
      return setUp(device, request.layout, request.scansPartitions);
    } finally {
      // After a failure AUTOCLEAR is still set: this is what takes the device back.
      fs.closeSync(device.lockFd);
      fs.closeSync(device.fd);
    }
  } catch (error) {
    throw attachError(error, request.path);
  }
}

/** systemd's switch, read as systemd reads booleans. */
function directIoWanted(environment: NodeJS.ProcessEnv): boolean {
  return !['0', 'no', 'n', 'false', 'f', 'off'].includes(
    environment['SYSTEMD_LOOP_DIRECT_IO']?.toLowerCase() ?? '',
  );
}

/** The loop-ref as the kernel takes it: as much of it as fits. */
export function loopRefBytes(loopRef: string, warn: LoopAttachRequest['warn']): Buffer {
  const bytes = Buffer.from(loopRef);
  if (bytes.length === 0 || bytes.includes(0)) {
    throw new RdpullError(
      'bad-argument',
      'the loop-ref is empty or holds a NUL byte',
      'choose a plain name for it',
    );
  }
  if (bytes.length <= LOOP_REF_MAX) return bytes;
  warn?.(
    `the loop-ref ${printable(loopRef)} is ${bytes.length} bytes long, more than ${LOOP_REF_MAX}: ` +
      'there will be no link in /dev/disk/by-loop-ref',
  );
  return bytes.subarray(0, LO_NAME_SIZE - 1);
}

async function bindFreeDevice(request: LoopBindRequest): Promise<HeldDevice> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await withLoopControl((controlFd) => bindOnce(controlFd, request), request.signal);
    } catch (error) {
      if (!isSystemError(error, ...TRANSIENT)) throw error;
      if (attempt === ATTEMPTS) {
        throw new RdpullError(
          'loop-failed',
          `no free loop device could be had in ${ATTEMPTS} attempts, the last one ended with: ${error.message}`,
          'see with "losetup -l" what uses them and detach what is not needed; /dev must be a devtmpfs',
          { cause: error },
        );
      }
    }
    await Bun.sleep(Math.random() * PAUSE_MAX);
    request.signal?.throwIfAborted();
  }
}

/** Nothing in here waits: the caller holds the lock that all who make loop devices queue for. */
function bindOnce(
  controlFd: number,
  { fd: imageFd, layout, readOnly, directIo, loopRef, part }: LoopBindRequest,
): HeldDevice {
  const number = loopControlGetFree(controlFd);
  const path = loopDevicePath(number);
  const fd = fs.openSync(path, fs.constants.O_RDWR | DEVICE_FLAGS);
  let lockFd: number | undefined;
  try {
    lockFd = fs.openSync(path, fs.constants.O_RDONLY | DEVICE_FLAGS);
    if (!tryLockFile(lockFd)) throw new SystemCallError(`flock(${path})`, constants.errno.EBUSY);
    if (isBound(fd)) throw new SystemCallError(`ioctl(${path}, LOOP_GET_STATUS64)`, constants.errno.EBUSY);
    const stale = loopPartitions(number);
    if (stale.length > 0) {
      // Their removal is news for udev, which must not be mixed up with those of the new image: start over.
      for (const partition of stale) deleteBlockPartition(fd, partition.number);
      throw new SystemCallError(`ioctl(${path}, BLKPG_DEL_PARTITION)`, constants.errno.EBUSY);
    }
    // No PARTSCAN yet: the kernel would scan now and again on udev's open, and partitions would come, go and come.
    loopConfigure(fd, imageFd, layout.sectorSize, {
      offset: BigInt(part?.start ?? 0),
      sizeLimit: BigInt(part?.size ?? 0),
      flags: (readOnly ? LO_FLAGS_READ_ONLY : 0) | (directIo ? LO_FLAGS_DIRECT_IO : 0) | LO_FLAGS_AUTOCLEAR,
      fileName: loopRef,
    });
    return { number, path, fd, lockFd };
  } catch (error) {
    if (lockFd !== undefined) fs.closeSync(lockFd);
    fs.closeSync(fd);
    throw error;
  }
}

function isBound(fd: number): boolean {
  try {
    loopGetStatus(fd);
    return true;
  } catch (error) {
    if (isSystemError(error, 'ENXIO')) return false;
    throw error;
  }
}

function setUp(device: HeldDevice, layout: ImageLayout, scansPartitions: boolean): AttachedLoopDevice {
  // The first open after LOOP_CONFIGURE uses up the kernel's "media changed"; the scan that PARTSCAN starts is then
  // the only one (systemd issue 41425).
  fs.closeSync(fs.openSync(device.path, fs.constants.O_RDONLY | DEVICE_FLAGS));
  if (scansPartitions) {
    const configured = loopGetStatus(device.fd);
    loopSetStatus(device.fd, { ...configured, flags: configured.flags | LO_FLAGS_PARTSCAN });
  }

  const sectorSize = loopSectorSize(device.number);
  if (sectorSize !== layout.sectorSize) {
    throw new RdpullError(
      'loop-failed',
      `the kernel made ${device.path} with sectors of ${sectorSize} bytes, the image needs ${layout.sectorSize}`,
      'use a newer kernel, or an image made for sectors of 512 bytes',
    );
  }

  const partitions: AttachedPartition[] = [];
  const pins: number[] = [];
  try {
    for (const partition of layout.partitions) {
      const partitionPath = `${device.path}p${partition.number}`;
      makePartition(device, partition);
      // Proves that the node is there, and holds the partition against a rescan by somebody else.
      pins.push(fs.openSync(partitionPath, fs.constants.O_RDONLY | DEVICE_FLAGS));
      partitions.push({ ...partition, path: partitionPath });
    }
    const { flags, ...status } = loopGetStatus(device.fd);
    loopSetStatus(device.fd, { ...status, flags: flags & ~LO_FLAGS_AUTOCLEAR });
    return {
      device: device.path,
      readOnly: (flags & LO_FLAGS_READ_ONLY) !== 0,
      directIo: (flags & LO_FLAGS_DIRECT_IO) !== 0,
      sectorSize,
      kind: layout.kind,
      ...(layout.kind === 'file-system' && { fileSystem: layout.type }),
      partitions,
    };
  } catch (error) {
    for (const pin of pins.splice(0)) fs.closeSync(pin);
    // What is unbound without having been scanned keeps the partitions that were made by hand.
    if (!scansPartitions) deletePartitions(device);
    throw error;
  } finally {
    for (const pin of pins) fs.closeSync(pin);
  }
}

function deletePartitions(device: HeldDevice): void {
  for (const { number } of loopPartitions(device.number)) deleteBlockPartition(device.fd, number);
}

/**
 * Makes a partition, unless the kernel was faster.
 *
 * @throws RdpullError loop-failed; SystemCallError EPERM
 */
export function makePartition(
  device: Pick<HeldDevice, 'fd' | 'path' | 'number'>,
  { number, start, size }: Partition,
): void {
  try {
    addBlockPartition(device.fd, number, BigInt(start), BigInt(size));
  } catch (error) {
    if (!(error instanceof SystemCallError) || error.code === 'EPERM') throw error;
    const made = loopPartitions(device.number).find((partition) => partition.number === number);
    if (error.code === 'EBUSY' && made?.start === start && made.size === size) return;
    throw new RdpullError(
      'loop-failed',
      `the kernel refuses partition ${number} (${size} bytes at ${start}) on ${device.path}: ${error.message}`,
      'number the partitions of the image from 1 to 255, and align them to whole sectors',
      { cause: error },
    );
  }
}

/** What a system call's failure means here. Anything else is a defect and passes as it is. */
function attachError(error: unknown, imagePath: string): unknown {
  if (error instanceof RdpullError || !(error instanceof Error && 'code' in error)) return error;
  if (isSystemError(error, 'EPERM', 'EACCES')) return notRoot('attaching a loop device', error);
  return new RdpullError(
    'loop-failed',
    `${printable(imagePath)} could not be attached to a loop device: ${reasonOf(error)}`,
    'look into the kernel log with dmesg; rdpull needs Linux 5.8 or later for loop devices',
    { cause: error },
  );
}
