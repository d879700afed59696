import { crc32 } from 'node:zlib';
import type { ImageBytes } from './image-bytes.ts';
import { isProtectiveMasterBootRecord } from './master-boot-record.ts';
import { damagedTable, type Partition, type PartitionTable, refuseOverlaps } from './partition-table.ts';

/** The sector sizes a GPT may have been written with, in bytes: its header lies at the start of the second sector. */
const SECTOR_SIZES = [512, 1024, 2048, 4096];

/** Bytes of entries that are read at most; the customary table of 128 takes 16 KiB. */
const ENTRIES_MAX = 1024 * 1024;

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
const UNUSED_TYPE = '00000000-0000-0000-0000-000000000000';

/**
 * The primary GUID partition table (UEFI Specification 2.10, section 5.3); `undefined` when the image has none.
 * As for the kernel, no GPT is one without a protective MBR.
 *
 * @throws RdpullError `image-unrecognised`
 */
export function readGuidPartitionTable(image: ImageBytes, path: string): PartitionTable | undefined {
  if (!isProtectiveMasterBootRecord(image)) return undefined;
  const sectorSize = detectSectorSize(image, path);
  const header = image.read(sectorSize, sectorSize);

  const revision = header.readUInt32LE(HEADER.revision);
  if (revision !== REVISION_1_0) {
    throw damagedTable(path, `the GPT is of the unknown revision 0x${revision.toString(16)}`);
  }
  const headerSize = header.readUInt32LE(HEADER.headerSize);
  if (headerSize < HEADER.size || headerSize > header.length) {
    throw damagedTable(path, `the GPT's header claims to be ${headerSize} bytes long`);
  }
  const checkedPart = Buffer.from(header.subarray(0, headerSize));
  checkedPart.writeUInt32LE(0, HEADER.headerCrc32);
  if (crc32(checkedPart) !== header.readUInt32LE(HEADER.headerCrc32)) {
    throw damagedTable(path, 'the checksum of the GPT header is wrong');
  }

  const sectors = BigInt(Math.floor(image.size / sectorSize));
  const firstUsable = header.readBigUInt64LE(HEADER.firstUsableLba);
  const lastUsable = header.readBigUInt64LE(HEADER.lastUsableLba);
  // The header itself is in sector 1, and its entries cannot be before it.
  if (firstUsable < 2n) {
    throw damagedTable(path, `the GPT lets partitions begin at sector ${firstUsable}, where it lies itself`);
  }
  if (lastUsable >= sectors) {
    const needed = (lastUsable + 1n) * BigInt(sectorSize);
    throw damagedTable(path, `the image has ${image.size} bytes, its GPT needs at least ${needed}`);
  }

  const entries = readEntries(image, path, header, sectorSize);
  const entrySize = header.readUInt32LE(HEADER.sizeOfPartitionEntry);
  const partitions: Partition[] = [];
  for (let offset = 0; offset < entries.length; offset += entrySize) {
    const entry = entries.subarray(offset, offset + entrySize);
    const type = guid(entry, ENTRY.type);
    if (type === UNUSED_TYPE) continue;
    const number = offset / entrySize + 1;
    const start = entry.readBigUInt64LE(ENTRY.startingLba);
    const end = entry.readBigUInt64LE(ENTRY.endingLba);
    if (start < firstUsable || end < start || end > lastUsable) {
      throw damagedTable(
        path,
        `partition ${number} covers the sectors ${start} to ${end}, outside of ${firstUsable} to ${lastUsable}`,
      );
    }
    partitions.push({
      number,
      start: Number(start) * sectorSize,
      size: Number(end - start + 1n) * sectorSize,
      type,
      uuid: guid(entry, ENTRY.unique),
      name: utf16Name(entry.subarray(ENTRY.name, ENTRY.nameEnd)),
      ...(hasNoAuto(entry) && { noAuto: true }),
    });
  }
  refuseOverlaps(partitions, path);
  return { kind: 'gpt', sectorSize, partitions };
}

function detectSectorSize(image: ImageBytes, path: string): number {
  const [size, ...others] = SECTOR_SIZES.filter((candidate) => {
    const header = image.read(candidate, HEADER.size);
    return (
      header.length === HEADER.size &&
      header.toString('latin1', 0, 8) === HEADER.signature &&
      header.readBigUInt64LE(HEADER.myLba) === 1n
    );
  });
  if (size === undefined) throw damagedTable(path, 'a protective MBR is there, but no GPT header');
  if (others.length > 0) {
    throw damagedTable(path, `GPT headers for several sector sizes (${[size, ...others].join(', ')} bytes)`);
  }
  return size;
}

function readEntries(image: ImageBytes, path: string, header: Buffer, sectorSize: number): Buffer {
  const count = header.readUInt32LE(HEADER.numberOfPartitionEntries);
  const entrySize = header.readUInt32LE(HEADER.sizeOfPartitionEntry);
  if (entrySize < ENTRY_SIZE_MIN || entrySize > ENTRY_SIZE_MAX || entrySize % ENTRY_SIZE_MIN !== 0) {
    throw damagedTable(path, `the GPT claims entries of ${entrySize} bytes`);
  }
  if (count * entrySize > ENTRIES_MAX) {
    throw damagedTable(path, `the GPT claims ${count} entries of ${entrySize} bytes, more than rdpull reads`);
  }
  const start = header.readBigUInt64LE(HEADER.partitionEntryLba) * BigInt(sectorSize);
  if (start < 2 * sectorSize || start + BigInt(count * entrySize) > image.size) {
    throw damagedTable(path, `the GPT's entries are said to be at byte ${start} of ${image.size}`);
  }
  const entries = image.read(Number(start), count * entrySize);
  if (crc32(entries) !== header.readUInt32LE(HEADER.partitionEntryArrayCrc32)) {
    throw damagedTable(path, 'the checksum of the GPT entries is wrong');
  }
  return entries;
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
