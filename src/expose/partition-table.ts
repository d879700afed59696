import { printable } from '../console/printable.ts';
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
  /** What is wrong with the table although it can be used, each a clause: "partition 3 covers ...". None when it is whole. */
  readonly oddities?: readonly string[];
}

/** The largest number of a partition that the kernel makes: DISK_MAX_PARTS of block/blk.h, less the whole disk. */
const NUMBER_MAX = 255;

/** A table that contradicts itself or the image's size. `what` is a clause: "the GPT's header has ...". */
export function damagedTable(path: string, what: string): RdpullError {
  return new RdpullError(
    'image-unrecognised',
    `${printable(path)}: damaged partition table: ${what}`,
    'check that the image is whole and not compressed: compare its size and checksum with the original',
  );
}

/** Oddities that are told: a hostile table has thousands. */
const ODDITIES_MAX = 8;

/** What is left of a table: the partitions that can be used, and why others cannot. */
export interface UsablePartitions {
  readonly partitions: readonly Partition[];
  readonly oddities?: readonly string[];
}

/**
 * Leaves out, as libblkid does, what cannot be a partition of its own, so that one odd entry does not keep the others from
 * being used: what has no number in the kernel, and what overlaps one before it. The kernel refuses overlaps with the same
 * EBUSY as partitions it has made itself: they must be told apart beforehand.
 *
 * @param leftOut why others were left out already
 * @throws RdpullError `image-unrecognised` when nothing remains of what was there
 */
export function usablePartitions(
  found: readonly Partition[],
  leftOut: readonly string[],
  path: string,
): UsablePartitions {
  const partitions: Partition[] = [];
  const odd = [...leftOut];
  for (const partition of found.toSorted((a, b) => a.number - b.number)) {
    const { number, start, size } = partition;
    const other = partitions.find((each) => each.start < start + size && start < each.start + each.size);
    if (number > NUMBER_MAX)
      odd.push(`partition ${number} has a number above ${NUMBER_MAX}, the kernel's last`);
    else if (other !== undefined) odd.push(`partitions ${other.number} and ${number} overlap`);
    else partitions.push(partition);
  }
  const [first] = odd;
  if (first === undefined) return { partitions };
  if (partitions.length === 0) throw damagedTable(path, first);
  const told = odd.slice(0, ODDITIES_MAX).map((each) => `${each}: left out`);
  const more = odd.length - told.length;
  return { partitions, oddities: more > 0 ? [...told, `and ${more} more`] : told };
}
