import { checked, libc, retryInterrupted } from './libc.ts';

/**
 * Loop devices: the ioctls of include/uapi/linux/loop.h, with the header's names and spelling.
 *
 * Only LOOP_CONFIGURE (Linux 5.8) is used to attach, so that a device is never seen half configured.
 */
const LOOP_CLR_FD = 0x4c01n;
const LOOP_SET_STATUS64 = 0x4c04n;
const LOOP_GET_STATUS64 = 0x4c05n;
const LOOP_CHANGE_FD = 0x4c06n;
const LOOP_CONFIGURE = 0x4c0an;
const LOOP_CTL_REMOVE = 0x4c81n;
const LOOP_CTL_GET_FREE = 0x4c82n;

export const LO_FLAGS_READ_ONLY = 1;
export const LO_FLAGS_AUTOCLEAR = 4;
export const LO_FLAGS_PARTSCAN = 8;
export const LO_FLAGS_DIRECT_IO = 16;

/** Bytes of `lo_file_name`, the terminating NUL included. */
export const LO_NAME_SIZE = 64;

/** Offsets of struct loop_info64, 232 bytes. */
const INFO = {
  lo_device: 0,
  lo_inode: 8,
  lo_offset: 24,
  lo_sizelimit: 32,
  lo_flags: 52,
  lo_file_name: 56,
  size: 232,
} as const;

/** Offsets of struct loop_config, 304 bytes: fd, block_size, struct loop_info64, eight reserved words. */
const CONFIG = { fd: 0, block_size: 4, info: 8, size: 304 } as const;

const { ioctl } = libc({ ioctl: { args: ['i32', 'u64', 'u64'], returns: 'i32' } });
const { ioctl: ioctlPointer } = libc({ ioctl: { args: ['i32', 'u64', 'ptr'], returns: 'i32' } });

/** What LOOP_SET_STATUS64 can be given. `offset` and `sizeLimit` in bytes; a limit of 0 is "all of the file". */
export interface LoopSettings {
  readonly offset: bigint;
  readonly sizeLimit: bigint;
  readonly flags: number;
  /** `lo_file_name`, the "loop-ref": any bytes but NUL, at most {@link LO_NAME_SIZE} - 1. */
  readonly fileName: Uint8Array;
}

/** A bound loop device. `backingDevice` is the kernel's huge_encode_dev(): see {@link hugeEncodeDevice}. */
export interface LoopStatus extends LoopSettings {
  readonly backingDevice: bigint;
  readonly backingInode: bigint;
}

/** Finds, or makes, an unbound loop device. Only under the lock on /dev/loop-control does it stay so. */
export function loopControlGetFree(controlFd: number): number {
  return checked('ioctl(LOOP_CTL_GET_FREE)', ioctl(controlFd, LOOP_CTL_GET_FREE, 0n));
}

/** Removes /dev/loop`number` altogether. Throws SystemCallError `EBUSY` while it is bound or open. */
export function loopControlRemove(controlFd: number, number: number): void {
  checked('ioctl(LOOP_CTL_REMOVE)', ioctl(controlFd, LOOP_CTL_REMOVE, BigInt(number)));
}

/**
 * Binds the file `backingFd` to the device `loopFd`, all settings at once; the uevent that follows already carries
 * `settings.fileName`. `blockSize` is the logical sector size in bytes.
 *
 * @throws SystemCallError `EBUSY` when the device is bound or claimed by someone else
 */
export function loopConfigure(
  loopFd: number,
  backingFd: number,
  blockSize: number,
  settings: LoopSettings,
): void {
  const config = new Uint8Array(CONFIG.size);
  const view = new DataView(config.buffer);
  view.setUint32(CONFIG.fd, backingFd, true);
  view.setUint32(CONFIG.block_size, blockSize, true);
  writeSettings(config.subarray(CONFIG.info, CONFIG.info + INFO.size), settings);
  retryInterrupted(() => checked('ioctl(LOOP_CONFIGURE)', ioctlPointer(loopFd, LOOP_CONFIGURE, config)));
}

/** @throws SystemCallError `ENXIO` when nothing is bound to the device */
export function loopGetStatus(loopFd: number): LoopStatus {
  const info = new Uint8Array(INFO.size);
  retryInterrupted(() => checked('ioctl(LOOP_GET_STATUS64)', ioctlPointer(loopFd, LOOP_GET_STATUS64, info)));
  const view = new DataView(info.buffer);
  const name = info.subarray(INFO.lo_file_name, INFO.lo_file_name + LO_NAME_SIZE);
  const end = name.indexOf(0);
  return {
    backingDevice: view.getBigUint64(INFO.lo_device, true),
    backingInode: view.getBigUint64(INFO.lo_inode, true),
    offset: view.getBigUint64(INFO.lo_offset, true),
    sizeLimit: view.getBigUint64(INFO.lo_sizelimit, true),
    flags: view.getUint32(INFO.lo_flags, true),
    fileName: name.subarray(0, end < 0 ? LO_NAME_SIZE : end),
  };
}

/**
 * Changes a bound device. The kernel lets AUTOCLEAR be set and cleared, PARTSCAN be set (which scans at once), and
 * ignores the other flags. The settings must be whole: start from {@link loopGetStatus}.
 */
export function loopSetStatus(loopFd: number, settings: LoopSettings): void {
  const info = new Uint8Array(INFO.size);
  writeSettings(info, settings);
  retryInterrupted(() => checked('ioctl(LOOP_SET_STATUS64)', ioctlPointer(loopFd, LOOP_SET_STATUS64, info)));
}

/**
 * Puts the file `backingFd` in place of the one that is bound: reads that were begun end with the old one, all others go to the new
 * one. Settings, name and offset stay. The kernel forgets the hand-made partitions of which nobody has one open, when the device
 * is opened the next time; and a file system that is mounted from the whole device may take it for a loss of its disk (ext4 does).
 *
 * @throws SystemCallError `EINVAL` when the device is not read-only, or the files differ in size; `ENXIO` when nothing is bound
 */
export function loopChangeFile(loopFd: number, backingFd: number): void {
  retryInterrupted(() => checked('ioctl(LOOP_CHANGE_FD)', ioctl(loopFd, LOOP_CHANGE_FD, BigInt(backingFd))));
}

/**
 * Unbinds the device, its partitions with it. While others have it open this only marks it: the kernel unbinds it
 * when the last of them closes it.
 *
 * @throws SystemCallError `ENXIO` when nothing is bound to the device
 */
export function loopClear(loopFd: number): void {
  retryInterrupted(() => checked('ioctl(LOOP_CLR_FD)', ioctl(loopFd, LOOP_CLR_FD, 0n)));
}

/** The dev_t of stat(2) the way `lo_device` spells it: new_encode_dev() of include/linux/kdev_t.h. */
export function hugeEncodeDevice(device: bigint): bigint {
  const major = (device >> 8n) & 0xfffn;
  const minor = (device & 0xffn) | ((device >> 12n) & 0xfff00n);
  return (minor & 0xffn) | (major << 8n) | ((minor & ~0xffn) << 12n);
}

function writeSettings(info: Uint8Array, settings: LoopSettings): void {
  const name = settings.fileName;
  if (name.length >= LO_NAME_SIZE || name.includes(0))
    throw new Error('lo_file_name: too long, or holds NUL');
  const view = new DataView(info.buffer, info.byteOffset, info.byteLength);
  view.setBigUint64(INFO.lo_offset, settings.offset, true);
  view.setBigUint64(INFO.lo_sizelimit, settings.sizeLimit, true);
  view.setUint32(INFO.lo_flags, settings.flags, true);
  info.set(name, INFO.lo_file_name);
}
