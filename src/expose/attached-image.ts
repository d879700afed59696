import fs from 'node:fs';
import path from 'node:path';
import {
  LO_FLAGS_AUTOCLEAR,
  LO_FLAGS_DIRECT_IO,
  LO_FLAGS_READ_ONLY,
  type LoopStatus,
  loopGetStatus,
} from '../kernel/loop.ts';
import { isSystemError } from '../kernel/system-error.ts';
import { imageBytes } from './image-bytes.ts';
import { openImageFile } from './image-file.ts';
import { identifyImage } from './image-layout.ts';
import { type AttachedLoopDevice, loopRefBytes } from './loop-device.ts';
import { findLoopDevices } from './loop-search.ts';
import { loopPartitions, loopSectorSize } from './loop-sysfs.ts';

/**
 * The loop device that an image is attached to already, just as attachImage() would: whole, under the name of the
 * file, with all its partitions, and for as long as nobody detaches it. undefined when there is none.
 *
 * @throws RdpullError `file-not-found`, `file-unreadable`, `bad-argument`, `image-unrecognised`, `not-root`
 */
export function findAttachedImage(imagePath: string, readOnly: boolean): AttachedLoopDevice | undefined {
  const devices = findLoopDevices(imagePath);
  if (devices.length === 0) return undefined;
  const image = openImageFile(imagePath, readOnly);
  try {
    const layout = identifyImage(imageBytes(image.fd), imagePath);
    const loopRef = loopRefBytes(path.basename(imagePath), undefined);
    for (const { number, device } of devices) {
      const status = statusOf(device);
      if (status === undefined || !isWhole(status, image.readOnly) || !loopRef.equals(status.fileName))
        continue;
      if (loopSectorSize(number) !== layout.sectorSize) continue;
      const made = loopPartitions(number);
      const wanted = layout.partitions;
      const partitions = wanted.flatMap((partition) => {
        const { number, start, size } = partition;
        const found = made.find(
          (each) => each.number === number && each.start === start && each.size === size,
        );
        return found === undefined ? [] : { ...partition, path: found.path };
      });
      // Others may be there as well: the kernel makes one of an extended partition.
      if (partitions.length !== wanted.length) continue;
      return {
        device,
        readOnly: image.readOnly,
        directIo: (status.flags & LO_FLAGS_DIRECT_IO) !== 0,
        sectorSize: layout.sectorSize,
        kind: layout.kind,
        ...(layout.kind === 'file-system' && { fileSystem: layout.type }),
        partitions,
      };
    }
    return undefined;
  } finally {
    fs.closeSync(image.fd);
  }
}

/** Of a device that is being set up, or about to go, AUTOCLEAR is set. */
function isWhole({ offset, sizeLimit, flags }: LoopStatus, readOnly: boolean): boolean {
  const isReadOnly = (flags & LO_FLAGS_READ_ONLY) !== 0;
  return offset === 0n && sizeLimit === 0n && isReadOnly === readOnly && (flags & LO_FLAGS_AUTOCLEAR) === 0;
}

/** undefined when somebody has just detached it */
function statusOf(device: string): LoopStatus | undefined {
  const fd = fs.openSync(device, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  try {
    return loopGetStatus(fd);
  } catch (error) {
    if (isSystemError(error, 'ENXIO')) return undefined;
    throw error;
  } finally {
    fs.closeSync(fd);
  }
}
