import fs from 'node:fs';
import { RdpullError } from '../console/rdpull-error.ts';
import { hugeEncodeDevice, loopGetStatus } from '../kernel/loop.ts';
import { isSystemError } from '../kernel/system-error.ts';
import { statFile } from './image-file.ts';
import { notRoot } from './loop-control.ts';
import { loopBackingFile, loopDevicePath, loopNumbers } from './loop-sysfs.ts';

export interface FoundLoopDevice {
  readonly number: number;
  /** `/dev/loop3` */
  readonly device: string;
}

/**
 * The loop devices that a file is attached to, in ascending order, none or several. The file is told by its device
 * and inode number, whatever name it was attached by.
 *
 * @throws RdpullError `file-not-found`, `file-unreadable`, `not-root`
 */
export function findLoopDevices(path: string): FoundLoopDevice[] {
  const { dev, ino } = statFile(path);
  return loopNumbers()
    .filter(
      (number) => loopBackingFile(number) !== undefined && isBackedBy(number, hugeEncodeDevice(dev), ino),
    )
    .map((number) => ({ number, device: loopDevicePath(number) }));
}

/**
 * The numbers of the loop devices that what is, or was, at `path` is attached to: by the inode; where that cannot be
 * asked for, because the file is gone or only root may, by the name.
 */
export function findLoopNumbers(path: string): number[] {
  if (fs.existsSync(path)) {
    try {
      return findLoopDevices(path).map(({ number }) => number);
    } catch (error) {
      if (!(error instanceof RdpullError)) throw error;
    }
  }
  return loopNumbers().filter((number) => loopBackingFile(number)?.replace(/ \(deleted\)$/, '') === path);
}

function isBackedBy(number: number, device: bigint, inode: bigint): boolean {
  let fd: number;
  try {
    fd = fs.openSync(loopDevicePath(number), fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENXIO', 'ENODEV')) return false;
    if (isSystemError(error, 'EACCES', 'EPERM')) throw notRoot('looking at loop devices', error);
    throw error;
  }
  try {
    const status = loopGetStatus(fd);
    return status.backingDevice === device && status.backingInode === inode;
  } catch (error) {
    // Somebody was faster in detaching it.
    if (isSystemError(error, 'ENXIO')) return false;
    throw error;
  } finally {
    fs.closeSync(fd);
  }
}
