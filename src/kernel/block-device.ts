import fs from 'node:fs';
import { checked, libc, retryInterrupted } from './libc.ts';
import { isSystemError } from './system-error.ts';

/** include/uapi/linux/fs.h: _IO(0x12, 93). */
const BLKROSET = 0x125dn;

const { ioctl } = libc({ ioctl: { args: ['i32', 'u64', 'ptr'], returns: 'i32' } });

/** Makes a whole device refuse writes, and with it all of its partitions, those that come later as well. */
export function setBlockDeviceReadOnly(fd: number): void {
  const value = new Uint8Array(Int32Array.of(1).buffer);
  retryInterrupted(() => checked('ioctl(BLKROSET)', ioctl(fd, BLKROSET, value)));
}

/**
 * Whether a whole device or one of its partitions is mounted, in any namespace, swapped on or stacked on: with O_EXCL the kernel itself
 * says so.
 *
 * @throws Error of node:fs, but not when the device is gone
 */
export function isClaimed(device: string): boolean {
  try {
    fs.closeSync(fs.openSync(device, fs.constants.O_RDONLY | fs.constants.O_EXCL | fs.constants.O_NONBLOCK));
    return false;
  } catch (error) {
    if (isSystemError(error, 'EBUSY')) return true;
    if (isSystemError(error, 'ENOENT', 'ENXIO', 'ENODEV')) return false;
    throw error;
  }
}
