import type { ImageBytes } from './image-bytes.ts';
import { damagedTable, type Partition, type PartitionTable, refuseOverlaps } from './partition-table.ts';

const SECTOR_SIZE = 512;

/** The MBR's layout (UEFI Specification 2.10, tables 5.1 and 5.2): four entries of 16 bytes, then 55 AA. */
const ENTRIES_OFFSET = 446;
const ENTRY_SIZE = 16;
const SIGNATURE_OFFSET = 510;
const SIGNATURE = 0xaa55;

const TYPE_PROTECTIVE = 0xee;
/** Extended partitions: DOS, Windows 95 (LBA) and Linux. */
const TYPES_EXTENDED = [0x05, 0x0f, 0x85];

/** Numbers 1 to 4 belong to the MBR itself. */
const FIRST_LOGICAL = 5;
/** The kernel's own bound on a chain of extended boot records is 100. */
const LOGICAL_MAX = 100;

interface Entry {
  readonly number: number;
  readonly bootIndicator: number;
  readonly type: number;
  /** Sectors, from what the record counts from. */
  readonly start: number;
  readonly size: number;
}

/** Whether the first sector ends like a boot sector, with or without partitions in it. */
export function hasBootSignature(image: ImageBytes): boolean {
  return readEntries(image, 0) !== undefined;
}

/** Whether the first sector is the MBR that guards a GPT: one entry is of type 0xEE and starts where the GPT does. */
export function isProtectiveMasterBootRecord(image: ImageBytes): boolean {
  return readEntries(image, 0)?.some((entry) => entry.type === TYPE_PROTECTIVE && entry.start === 1) ?? false;
}

/**
 * The MBR partition table with its logical partitions; `undefined` when there is none. Extended partitions are
 * containers and not listed: they would overlap what they hold.
 *
 * @throws RdpullError `image-unrecognised`
 */
export function readMasterBootRecord(image: ImageBytes, path: string): PartitionTable | undefined {
  const entries = readEntries(image, 0);
  // What differs from 0x00 and 0x80 is code or text: then this is the boot sector of something else.
  if (entries === undefined || entries.some((entry) => (entry.bootIndicator & 0x7f) !== 0)) return undefined;
  const used = entries.filter((entry) => entry.type !== 0 && entry.size !== 0);
  if (used.length === 0) return undefined;

  const partitions: Partition[] = [];
  for (const entry of used) {
    if (entry.start === 0) throw damagedTable(path, `partition ${entry.number} covers the MBR itself`);
    const partition = place(image, path, entry, entry.number, 0);
    if (TYPES_EXTENDED.includes(entry.type)) {
      partitions.push(...readLogicalPartitions(image, path, entry));
    } else {
      partitions.push(partition);
    }
  }
  refuseOverlaps(partitions, path);
  return {
    kind: 'mbr',
    sectorSize: SECTOR_SIZE,
    partitions: partitions.toSorted((a, b) => a.number - b.number),
  };
}

/**
 * Follows the chain of extended boot records: the first entry of each is a logical partition, counted from that
 * record; the second leads to the next record, counted from the extended partition.
 */
function readLogicalPartitions(image: ImageBytes, path: string, extended: Entry): Partition[] {
  const partitions: Partition[] = [];
  const visited = new Set<number>();
  let record = extended.start;
  for (;;) {
    if (visited.has(record)) throw damagedTable(path, 'its extended boot records form a loop');
    visited.add(record);
    if (visited.size > LOGICAL_MAX)
      throw damagedTable(path, `it has more than ${LOGICAL_MAX} extended boot records`);

    const [logical, next] = readEntries(image, record) ?? [];
    if (logical !== undefined && logical.type !== 0 && logical.size !== 0) {
      const number = FIRST_LOGICAL + partitions.length;
      const start = record + logical.start;
      if (logical.start === 0 || start + logical.size > extended.start + extended.size) {
        throw damagedTable(path, `logical partition ${number} lies outside of its extended partition`);
      }
      partitions.push(place(image, path, logical, number, record));
    }
    if (next === undefined || next.size === 0 || !TYPES_EXTENDED.includes(next.type)) return partitions;
    if (next.start >= extended.size)
      throw damagedTable(path, 'an extended boot record lies outside of its partition');
    record = extended.start + next.start;
  }
}

function place(image: ImageBytes, path: string, entry: Entry, number: number, base: number): Partition {
  const start = (base + entry.start) * SECTOR_SIZE;
  const size = entry.size * SECTOR_SIZE;
  if (start + size > image.size) {
    throw damagedTable(
      path,
      `partition ${number} ends at byte ${start + size}, the image has ${image.size} bytes`,
    );
  }
  return { number, start, size, type: `0x${entry.type.toString(16).padStart(2, '0')}` };
}

function readEntries(image: ImageBytes, sector: number): Entry[] | undefined {
  const block = image.read(sector * SECTOR_SIZE, SECTOR_SIZE);
  if (block.length < SECTOR_SIZE || block.readUInt16LE(SIGNATURE_OFFSET) !== SIGNATURE) return undefined;
  return [1, 2, 3, 4].map((number) => {
    const offset = ENTRIES_OFFSET + (number - 1) * ENTRY_SIZE;
    return {
      number,
      bootIndicator: block.readUInt8(offset),
      type: block.readUInt8(offset + 4),
      start: block.readUInt32LE(offset + 8),
      size: block.readUInt32LE(offset + 12),
    };
  });
}
