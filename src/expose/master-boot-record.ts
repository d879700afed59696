import type { ImageBytes } from './image-bytes.ts';
import { type Partition, type PartitionTable, usablePartitions } from './partition-table.ts';

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

/** What was found so far, and why the rest is left out. */
interface Found {
  readonly partitions: Partition[];
  readonly leftOut: string[];
}

/**
 * The MBR partition table with its logical partitions; `undefined` when there is none. Extended partitions are
 * containers and not listed: they would overlap what they hold.
 *
 * @throws RdpullError `image-unrecognised` when none of its partitions can be used
 */
export function readMasterBootRecord(image: ImageBytes, path: string): PartitionTable | undefined {
  const entries = readEntries(image, 0);
  // What differs from 0x00 and 0x80 is code or text: then this is the boot sector of something else.
  if (entries === undefined || entries.some((entry) => (entry.bootIndicator & 0x7f) !== 0)) return undefined;
  const used = entries.filter((entry) => entry.type !== 0 && entry.size !== 0);
  if (used.length === 0) return undefined;

  const found: Found = { partitions: [], leftOut: [] };
  for (const entry of used) {
    if (entry.start === 0) found.leftOut.push(`partition ${entry.number} covers the MBR itself`);
    else if (TYPES_EXTENDED.includes(entry.type)) readLogicalPartitions(image, entry, found);
    else place(image, entry, entry.number, 0, found);
  }
  const isAnyThere = found.partitions.length + found.leftOut.length > 0;
  if (!isAnyThere) return undefined;
  return {
    kind: 'mbr',
    sectorSize: SECTOR_SIZE,
    ...usablePartitions(found.partitions, found.leftOut, path),
  };
}

/**
 * Follows the chain of extended boot records: the first entry of each is a logical partition, counted from that
 * record; the second leads to the next record, counted from the extended partition. Where the chain breaks, it ends.
 */
function readLogicalPartitions(image: ImageBytes, extended: Entry, found: Found): void {
  const visited = new Set<number>();
  let number = FIRST_LOGICAL;
  let record = extended.start;
  for (;;) {
    if (visited.has(record)) return void found.leftOut.push('its extended boot records form a loop');
    visited.add(record);
    if (visited.size > LOGICAL_MAX)
      return void found.leftOut.push(`it has more than ${LOGICAL_MAX} extended boot records`);

    const [logical, next] = readEntries(image, record) ?? [];
    if (logical !== undefined && logical.type !== 0 && logical.size !== 0) {
      const end = record + logical.start + logical.size;
      if (logical.start === 0 || end > extended.start + extended.size) {
        found.leftOut.push(`logical partition ${number} lies outside of its extended partition`);
      } else {
        place(image, logical, number, record, found);
      }
      number++;
    }
    if (next === undefined || next.size === 0 || !TYPES_EXTENDED.includes(next.type)) return;
    if (next.start >= extended.size)
      return void found.leftOut.push('an extended boot record lies outside of its partition');
    record = extended.start + next.start;
  }
}

function place(image: ImageBytes, entry: Entry, number: number, base: number, found: Found): void {
  const start = (base + entry.start) * SECTOR_SIZE;
  const size = entry.size * SECTOR_SIZE;
  if (start + size > image.size) {
    found.leftOut.push(`partition ${number} ends at byte ${start + size}, the image has ${image.size} bytes`);
    return;
  }
  found.partitions.push({ number, start, size, type: `0x${entry.type.toString(16).padStart(2, '0')}` });
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
