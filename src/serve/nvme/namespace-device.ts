import fs from 'node:fs';
import { withLoopControl } from '../../expose/loop-control.ts';
import { isLoopReadOnly, loopDevicePath, loopPartitions } from '../../expose/loop-sysfs.ts';
import {
  LO_FLAGS_AUTOCLEAR,
  LO_FLAGS_READ_ONLY,
  loopConfigure,
  loopControlGetFree,
  loopControlRemove,
} from '../../kernel/loop.ts';
import { isSystemError } from '../../kernel/system-error.ts';
import { setAttribute } from './attribute.ts';

/** An open image that is to be exported. */
export interface ExportedFile {
  readonly fd: number;
  /** Whether hosts may write to it: it is open for that, then. */
  readonly isWritable: boolean;
  /** In bytes. */
  readonly sectorSize: number;
}

/** What a namespace has without being told: the sectors of a loop device that nothing is bound to, in bytes. */
export const USUAL_SECTOR = 512;

/** Somebody else may take the device that was free a moment ago. */
const ATTEMPTS = 20;
const PAUSE_MAX = 50;

/**
 * Lets a namespace of the kernel's NVMe target have an image, by way of a loop device that goes with the namespace.
 *
 * @param namespace its directory in configfs
 * @throws RdpullError not-root, loop-missing, loop-failed; Error of the file system
 */
export async function enableNamespace(namespace: string, file: ExportedFile): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await withLoopControl((controlFd) => enableOnce(controlFd, namespace, file), undefined);
    } catch (error) {
      if (!isSystemError(error, 'EBUSY', 'ENXIO') || attempt === ATTEMPTS) throw error;
    }
    await Bun.sleep(Math.random() * PAUSE_MAX);
  }
}

function enableOnce(controlFd: number, namespace: string, file: ExportedFile): void {
  const device = loopDevicePath(freshLoopDevice(controlFd));
  const fd = fs.openSync(device, fs.constants.O_RDWR | fs.constants.O_NONBLOCK | fs.constants.O_NOCTTY);
  try {
    setAttribute(namespace, 'device_path', device);
    if (file.isWritable) enableWritable(fd, namespace, file);
    else enableReadOnly(fd, namespace, file);
  } finally {
    // From here on the namespace is the only one that has it open, and AUTOCLEAR unbinds it when that is gone.
    fs.closeSync(fd);
  }
}

/** What was bound to a device leaves traces: it stays read-only, as the target takes none, and may still have partitions. */
function freshLoopDevice(controlFd: number): number {
  for (;;) {
    const number = loopControlGetFree(controlFd);
    if (!isLoopReadOnly(number) && loopPartitions(number).length === 0) return number;
    loopControlRemove(controlFd, number);
  }
}

function enableWritable(loopFd: number, namespace: string, { fd, sectorSize }: ExportedFile): void {
  bind(loopFd, fd, sectorSize, LO_FLAGS_AUTOCLEAR);
  setAttribute(namespace, 'enable', '1');
}

/**
 * The target opens each device for writing, and none that is read-only (nvmet_bdev_ns_enable() of Linux); and a host can lift the
 * write protection of a namespace. So the target opens the device before anything is bound to it. The file is then bound read-only,
 * and open for reading only, by which the loop device itself refuses each write, whoever has it open how.
 */
function enableReadOnly(loopFd: number, namespace: string, { fd, sectorSize }: ExportedFile): void {
  setAttribute(namespace, 'enable', '1');
  try {
    bind(loopFd, fd, sectorSize, LO_FLAGS_AUTOCLEAR | LO_FLAGS_READ_ONLY);
    // It was empty when the target opened it.
    setAttribute(namespace, 'revalidate_size', '1');
  } catch (error) {
    setAttribute(namespace, 'enable', '0');
    throw error;
  }
}

/** Without a name, udev makes no link to it; without PARTSCAN, this machine sees no partitions. */
function bind(loopFd: number, fd: number, sectorSize: number, flags: number): void {
  loopConfigure(loopFd, fd, sectorSize, { offset: 0n, sizeLimit: 0n, flags, fileName: new Uint8Array() });
}
