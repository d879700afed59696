import { RdpullError } from '../console/rdpull-error.ts';
import { recogniseFileSystem, recognisePackedImage } from './file-system-magic.ts';
import { readGuidPartitionTable } from './guid-partition-table.ts';
import type { ImageBytes } from './image-bytes.ts';
import { readMasterBootRecord } from './master-boot-record.ts';
import type { PartitionTable } from './partition-table.ts';

/** What an image holds: partitions, or one bare file system. */
export type ImageLayout =
  | PartitionTable
  | { readonly kind: 'file-system'; readonly sectorSize: number; readonly type: string };

/** For images without a partition table of their own, bytes. */
const SECTOR_SIZE = 512;

/**
 * Looks what an image holds, before anything is done with it. `path` is for messages. A GPT goes before a file
 * system, which goes before an MBR: the boot sector of a FAT or of a hybrid ISO image looks like one.
 *
 * @throws RdpullError `image-unrecognised`
 */
export function identifyImage(image: ImageBytes, path: string): ImageLayout {
  const table = readGuidPartitionTable(image, path);
  if (table !== undefined) return table;
  const type = recogniseFileSystem(image);
  if (type !== undefined) return { kind: 'file-system', sectorSize: SECTOR_SIZE, type };
  const bootRecord = readMasterBootRecord(image, path);
  if (bootRecord !== undefined) return bootRecord;

  if (image.size === 0) {
    throw new RdpullError(
      'image-unrecognised',
      `${path} is empty`,
      'check that the image was written or downloaded',
    );
  }
  const packing = recognisePackedImage(image);
  if (packing !== undefined) {
    throw new RdpullError(
      'image-unrecognised',
      `${path} is a ${packing} file, not a raw disk image`,
      packing === 'qcow2'
        ? 'convert it first: qemu-img convert -O raw'
        : "decompress it first, or let 'rdpull pull' fetch it: that decompresses by itself",
    );
  }
  throw new RdpullError(
    'image-unrecognised',
    `${path} holds neither a partition table (GPT, MBR) nor a file system that rdpull knows`,
    'check that this is a raw disk image, and whole: file(1) and fdisk -l show what it looks like',
  );
}
