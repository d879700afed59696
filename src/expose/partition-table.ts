import { RdpullError } from '../console/rdpull-error.ts';

/** One partition. `start` and `size` in bytes, inside the image, and overlapping no other. */
export interface Partition {
  readonly number: number;
  readonly start: number;
  readonly size: number;
  /** GPT: the type UUID, lower case. MBR: the type byte, as `0x83`. */
  readonly type: string;
  readonly uuid?: string;
  /** From the image: any text, control characters included. */
  readonly name?: string;
  /** GPT: nobody is to use it unless it is named (SD_GPT_FLAG_NO_AUTO). */
  readonly noAuto?: boolean;
}

export interface PartitionTable {
  readonly kind: 'gpt' | 'mbr';
  /** Bytes. */
  readonly sectorSize: number;
  /** In the order of their numbers. An MBR's are never empty: it could not be told from a boot sector. */
  readonly partitions: readonly Partition[];
}

/** A table that contradicts itself or the image's size. `what` is a clause: "the GPT's header has ...". */
export function damagedTable(path: string, what: string): RdpullError {
  return new RdpullError(
    'image-unrecognised',
    `${path}: damaged partition table: ${what}`,
    'check that the image is whole and not compressed: compare its size and checksum with the original',
  );
}

/**
 * The kernel refuses overlaps with the same EBUSY as partitions it has made itself: they must be told apart
 * beforehand.
 *
 * @throws RdpullError `image-unrecognised`
 */
export function refuseOverlaps(partitions: readonly Partition[], path: string): void {
  const ordered = partitions.toSorted((a, b) => a.start - b.start);
  for (const [index, partition] of ordered.entries()) {
    const before = ordered[index - 1];
    if (before !== undefined && before.start + before.size > partition.start) {
      throw damagedTable(path, `partitions ${before.number} and ${partition.number} overlap`);
    }
  }
}
