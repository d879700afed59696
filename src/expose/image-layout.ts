import { printable } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { compressionOf } from '../decode/compression-magic.ts';
import { FOREIGN_FORMAT_BYTES, recogniseForeignFormat } from '../decode/foreign-format.ts';
import { isQcow2 } from '../decode/qcow2-magic.ts';
import { recogniseFileSystem } from './file-system-magic.ts';
import { readGuidPartitionTable } from './guid-partition-table.ts';
import type { ImageBytes } from './image-bytes.ts';
import { readMasterBootRecord } from './master-boot-record.ts';
import type { Partition, PartitionTable, UsablePartitions } from './partition-table.ts';

/**
 * What an image holds: partitions, or one bare file system. The latter may have the partitions of an MBR in it, as a hybrid
 * ISO image has: they can be used as well.
 */
export type ImageLayout =
  | PartitionTable
  | {
      readonly kind: 'file-system';
      readonly sectorSize: number;
      readonly type: string;
      readonly partitions: readonly Partition[];
      readonly oddities?: undefined;
    };

/** File systems that begin behind the first sector, and leave it to a boot loader and its partitions. */
const BEHIND_BOOT_SECTOR: ReadonlySet<string> = new Set([
  'iso9660',
  'ext2',
  'ext3',
  'ext4',
  'btrfs',
  'f2fs',
  'erofs',
]);

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
  if (type !== undefined) {
    return { kind: 'file-system', sectorSize: SECTOR_SIZE, type, ...hybridPartitions(image, path, type) };
  }
  const bootRecord = readMasterBootRecord(image, path);
  if (bootRecord !== undefined) return bootRecord;

  if (image.size === 0) {
    throw new RdpullError(
      'image-unrecognised',
      `${printable(path)} is empty`,
      'check that the image was written or downloaded',
    );
  }
  const start = image.read(0, FOREIGN_FORMAT_BYTES);
  const packing = compressionOf(start);
  if (packing !== undefined) {
    throw new RdpullError(
      'image-unrecognised',
      `${printable(path)} is a ${packing} file, not a raw disk image`,
      "decompress it first, or let 'rdpull pull' fetch it: that decompresses by itself",
    );
  }
  if (isQcow2(start)) {
    throw new RdpullError(
      'image-unrecognised',
      `${printable(path)} is a qcow2 image, not a raw disk image`,
      "convert it first (qemu-img convert -O raw), or let 'rdpull pull' fetch it: that converts by itself",
    );
  }
  const foreign = recogniseForeignFormat(start);
  if (foreign !== undefined) {
    throw new RdpullError(
      'image-unrecognised',
      `${printable(path)} is ${foreign.name}, not a raw disk image`,
      foreign.remedy,
    );
  }
  throw new RdpullError(
    'image-unrecognised',
    `${printable(path)} holds neither a partition table (GPT, MBR) nor a file system that rdpull knows`,
    'check that this is a raw disk image, and whole: file(1) and fdisk -l show what it looks like',
  );
}

/** The partitions in an image that is one file system. What is wrong with them does not harm the file system. */
function hybridPartitions(
  image: ImageBytes,
  path: string,
  type: string,
): Pick<UsablePartitions, 'partitions'> {
  if (!BEHIND_BOOT_SECTOR.has(type)) return { partitions: [] };
  try {
    const { partitions = [] } = readMasterBootRecord(image, path) ?? {};
    return { partitions };
  } catch (error) {
    if (error instanceof RdpullError) return { partitions: [] };
    throw error;
  }
}
