import type { ImageBytes } from './image-bytes.ts';
import { isProtectiveMasterBootRecord } from './master-boot-record.ts';
import { damagedTable, type Partition, type PartitionTable, usablePartitions } from './partition-table.ts';

/** The sector sizes a GPT may have been written with, in bytes: its header lies at the start of the second sector. */
const SECTOR_SIZES = [512, 1024, 2048, 4096];

/** Bytes of entries that are read at most, as in the kernel (KMALLOC_MAX_SIZE); the customary table of 128 takes 16 KiB. */
const ENTRIES_MAX = 4 * 1024 * 1024;

/** UEFI Specification 2.10, table 5.5: the GPT header, little endian. */
const HEADER = {
  signature: 'EFI PART',
  revision: 8,
  headerSize: 12,
  headerCrc32: 16,
  myLba: 24,
  firstUsableLba: 40,
  lastUsableLba: 48,
  partitionEntryLba: 72,
  numberOfPartitionEntries: 80,
  sizeOfPartitionEntry: 84,
  partitionEntryArrayCrc32: 88,
  size: 92,
} as const;
const REVISION_1_0 = 0x00010000;

/** Table 5.6: one entry. */
const ENTRY = {
  type: 0,
  unique: 16,
  startingLba: 32,
  endingLba: 40,
  attributes: 48,
  name: 56,
  nameEnd: 128,
} as const;
const ENTRY_SIZE_MIN = 128;
const ENTRY_SIZE_MAX = 4096;

/** Where a header lies. */
interface HeaderPlace {
  /** Bytes. */
  readonly sectorSize: number;
  /** In sectors. */
  readonly lba: number;
}

/** A header that is whole, and so are the entries that it leads to. */
interface Gpt {
  readonly sectorSize: number;
  readonly header: Buffer;
  readonly entries: Buffer;
}

/**
 * The GUID partition table (UEFI Specification 2.10, section 5.3), or, where that is damaged, its backup in the last
 * sector; `undefined` when the image has none. As for the kernel, no GPT is one without a protective MBR.
 *
 * @throws RdpullError `image-unrecognised`
 */
export function readGuidPartitionTable(image: ImageBytes, path: string): PartitionTable | undefined {
  if (!isProtectiveMasterBootRecord(image)) return undefined;
  const primary = findPrimary(image, path);
  if (typeof primary !== 'string') return tableOf(primary, path);
  const backup = findBackup(image);
  if (backup === undefined) throw damagedTable(path, primary);
  const { oddities = [], ...table } = tableOf(backup, path);
  return { ...table, oddities: [`${primary}: its backup at the end of the image is used`, ...oddities] };
}

/** @returns why there is none that is whole, in words for {@link damagedTable} */
function findPrimary(image: ImageBytes, path: string): Gpt | string {
  const places = SECTOR_SIZES.map((sectorSize) => ({ sectorSize, lba: 1 })).filter((place) =>
    isHeader(image, place),
  );
  const found = places.map((place) => readGpt(image, place));
  const [whole, another] = found.filter((each) => typeof each !== 'string');
  if (whole !== undefined && another !== undefined) {
    const sizes = places.map(({ sectorSize }) => sectorSize).join(', ');
    throw damagedTable(path, `GPT headers for several sector sizes (${sizes} bytes)`);
  }
  return whole ?? found[0] ?? 'a protective MBR is there, but no GPT header';
}

/** The one in the last sector, where the kernel and libblkid look, too. */
function findBackup(image: ImageBytes): Gpt | undefined {
  return SECTOR_SIZES.map((sectorSize) => ({ sectorSize, lba: Math.floor(image.size / sectorSize) - 1 }))
    .filter((place) => place.lba > 1 && isHeader(image, place))
    .map((place) => readGpt(image, place))
    .find((each) => typeof each !== 'string');
}

function isHeader(image: ImageBytes, { sectorSize, lba }: HeaderPlace): boolean {
  const header = image.read(sectorSize * lba, HEADER.size);
  return (
    header.length === HEADER.size &&
    header.toString('latin1', 0, 8) === HEADER.signature &&
    header.readBigUInt64LE(HEADER.myLba) === BigInt(lba)
  );
}

/** @returns why it is not whole */
function readGpt(image: ImageBytes, { sectorSize, lba }: HeaderPlace): Gpt | string {
  const header = image.read(sectorSize * lba, sectorSize);
  const defect = headerDefect(header, image, sectorSize);
  if (defect !== undefined) return defect;
  const count = header.readUInt32LE(HEADER.numberOfPartitionEntries);
  const entrySize = header.readUInt32LE(HEADER.sizeOfPartitionEntry);
  const start = header.readBigUInt64LE(HEADER.partitionEntryLba) * BigInt(sectorSize);
  if (entrySize < ENTRY_SIZE_MIN || entrySize > ENTRY_SIZE_MAX || entrySize % ENTRY_SIZE_MIN !== 0) {
    return `the GPT claims entries of ${entrySize} bytes`;
  }
  if (count * entrySize > ENTRIES_MAX) {
    return `the GPT claims ${count} entries of ${entrySize} bytes, more than rdpull reads`;
  }
  if (start < 2 * sectorSize || start + BigInt(count * entrySize) > image.size) {
    return `the GPT's entries are said to be at byte ${start} of ${image.size}`;
  }
  const entries = image.read(Number(start), count * entrySize);
  if (Bun.hash.crc32(entries) !== header.readUInt32LE(HEADER.partitionEntryArrayCrc32)) {
    return 'the checksum of the GPT entries is wrong';
  }
  return { sectorSize, header, entries };
}

function headerDefect(header: Buffer, image: ImageBytes, sectorSize: number): string | undefined {
  if (header.length < sectorSize) return 'the image ends within the GPT header';
  const revision = header.readUInt32LE(HEADER.revision);
  if (revision !== REVISION_1_0) return `the GPT is of the unknown revision 0x${revision.toString(16)}`;
  const headerSize = header.readUInt32LE(HEADER.headerSize);
  if (headerSize < HEADER.size || headerSize > header.length) {
    return `the GPT's header claims to be ${headerSize} bytes long`;
  }
  const checkedPart = Buffer.from(header.subarray(0, headerSize));
  checkedPart.writeUInt32LE(0, HEADER.headerCrc32);
  if (Bun.hash.crc32(checkedPart) !== header.readUInt32LE(HEADER.headerCrc32)) {
    return 'the checksum of the GPT header is wrong';
  }
  const { firstUsable, lastUsable } = usableArea(header);
  // The header itself is in sector 1, and its entries cannot be before it.
  if (firstUsable < 2n) {
    return `the GPT lets partitions begin at sector ${firstUsable}, where it lies itself`;
  }
  if (lastUsable >= BigInt(Math.floor(image.size / sectorSize))) {
    const needed = (lastUsable + 1n) * BigInt(sectorSize);
    return `the image has ${image.size} bytes, its GPT needs at least ${needed}`;
  }
  return undefined;
}

function usableArea(header: Buffer): { readonly firstUsable: bigint; readonly lastUsable: bigint } {
  return {
    firstUsable: header.readBigUInt64LE(HEADER.firstUsableLba),
    lastUsable: header.readBigUInt64LE(HEADER.lastUsableLba),
  };
}

/** @throws RdpullError `image-unrecognised` when none of its partitions can be used */
function tableOf({ sectorSize, header, entries }: Gpt, path: string): PartitionTable {
  const { firstUsable, lastUsable } = usableArea(header);
  const entrySize = header.readUInt32LE(HEADER.sizeOfPartitionEntry);
  const partitions: Partition[] = [];
  const leftOut: string[] = [];
  for (let offset = 0; offset < entries.length; offset += entrySize) {
    const entry = entries.subarray(offset, offset + entrySize);
    if (entry.subarray(ENTRY.type, ENTRY.unique).every((byte) => byte === 0)) continue;
    const number = offset / entrySize + 1;
    const start = entry.readBigUInt64LE(ENTRY.startingLba);
    const end = entry.readBigUInt64LE(ENTRY.endingLba);
    if (start < firstUsable || end < start || end > lastUsable) {
      leftOut.push(
        `partition ${number} covers the sectors ${start} to ${end}, outside of ${firstUsable} to ${lastUsable}`,
      );
      continue;
    }
    partitions.push({
      number,
      start: Number(start) * sectorSize,
      size: Number(end - start + 1n) * sectorSize,
      type: guid(entry, ENTRY.type),
      uuid: guid(entry, ENTRY.unique),
      name: utf16Name(entry.subarray(ENTRY.name, ENTRY.nameEnd)),
      ...(hasNoAuto(entry) && { noAuto: true }),
    });
  }
  return { kind: 'gpt', sectorSize, ...usablePartitions(partitions, leftOut, path) };
}

/** A GUID in text: the first three groups are stored little endian (UEFI Specification 2.10, appendix A). */
function guid(entry: Buffer, offset: number): string {
  const bytes = Buffer.from(entry.subarray(offset, offset + 16));
  bytes.subarray(0, 4).reverse();
  bytes.subarray(4, 6).reverse();
  bytes.subarray(6, 8).reverse();
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

function utf16Name(bytes: Buffer): string {
  const text = bytes.toString('utf16le');
  const end = text.indexOf('\0');
  return (end < 0 ? text : text.slice(0, end)).toWellFormed();
}

/** The Discoverable Partitions Specification: `SD_GPT_FLAG_NO_AUTO`, bit 63 of the attributes. */
function hasNoAuto(entry: Buffer): boolean {
  return entry.readBigUInt64LE(ENTRY.attributes) >> 63n === 1n;
}
