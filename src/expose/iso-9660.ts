import type { ImageBytes } from './image-bytes.ts';

/** What of an image a file in it is, in bytes. */
export interface FilePart {
  readonly start: number;
  readonly size: number;
}

/** The primary volume descriptor (ECMA-119, section 8.4). */
const DESCRIPTOR = { start: 32_768, length: 2048, magic: '\x01CD001', blockSize: 128, root: 156 } as const;

/** A record of a directory (section 9.1). */
const RECORD = { extent: 2, size: 10, flags: 25, nameLength: 32, name: 33 } as const;
const IS_DIRECTORY = 0x02;
/** The file goes on in the next record: it is larger than 4 GiB. */
const GOES_ON = 0x80;

/** Bytes of a directory that are read. */
const LONGEST_DIRECTORY = 1024 * 1024;

/** Rock Ridge's name of a file (IEEE P1282, section 4.1.4), in the system use area (IEEE P1281). */
const ALTERNATE_NAME = 'NM';
const ENTRY_HEADER = 4;

interface Entry extends FilePart {
  readonly name: string;
  readonly flags: number;
}

/**
 * Finds a file in an ISO 9660 file system, where each lies in one piece. Names are compared as Rock Ridge has them, or without regard to
 * case.
 *
 * @param path the names of the directories, and of the file
 * @returns undefined when there is no such file system or file
 */
export function findInIso(image: ImageBytes, path: readonly string[]): FilePart | undefined {
  const descriptor = image.read(DESCRIPTOR.start, DESCRIPTOR.length);
  if (descriptor.length < DESCRIPTOR.length) return undefined;
  if (descriptor.toString('latin1', 0, DESCRIPTOR.magic.length) !== DESCRIPTOR.magic) return undefined;
  const blockSize = descriptor.readUInt16LE(DESCRIPTOR.blockSize);
  if (![512, 1024, 2048].includes(blockSize)) return undefined;
  let found = entryAt(descriptor, DESCRIPTOR.root, blockSize);
  for (const name of path) {
    if (found === undefined || (found.flags & IS_DIRECTORY) === 0) return undefined;
    found = entriesOf(image, found, blockSize).find((each) => isCalled(each, name));
  }
  if (found === undefined || (found.flags & (IS_DIRECTORY | GOES_ON)) !== 0) return undefined;
  // A file fills its last block with zeros.
  const size = Math.ceil(found.size / blockSize) * blockSize;
  return found.start + size > image.size ? undefined : { start: found.start, size };
}

function entriesOf(image: ImageBytes, { start, size }: FilePart, blockSize: number): readonly Entry[] {
  const bytes = image.read(start, Math.min(size, LONGEST_DIRECTORY));
  const entries: Entry[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    const length = bytes[offset] ?? 0;
    // No record goes over the end of a block.
    if (length === 0) offset = (Math.floor(offset / blockSize) + 1) * blockSize;
    else {
      const entry = entryAt(bytes, offset, blockSize);
      if (entry === undefined) return entries;
      entries.push(entry);
      offset += length;
    }
  }
  return entries;
}

function entryAt(bytes: Buffer, offset: number, blockSize: number): Entry | undefined {
  const record = bytes.subarray(offset, offset + (bytes[offset] ?? 0));
  const nameEnd = RECORD.name + (record[RECORD.nameLength] ?? 0);
  if (record.length <= RECORD.name || nameEnd > record.length) return undefined;
  return {
    start: record.readUInt32LE(RECORD.extent) * blockSize,
    size: record.readUInt32LE(RECORD.size),
    flags: record[RECORD.flags] ?? 0,
    name: rockRidgeName(record, nameEnd) ?? record.toString('latin1', RECORD.name, nameEnd),
  };
}

function rockRidgeName(record: Buffer, nameEnd: number): string | undefined {
  let name: string | undefined;
  // The area begins at an even byte.
  let offset = nameEnd + (nameEnd % 2);
  while (offset + ENTRY_HEADER < record.length) {
    const length = record[offset + 2] ?? 0;
    if (length < ENTRY_HEADER || offset + length > record.length) break;
    if (record.toString('latin1', offset, offset + 2) === ALTERNATE_NAME)
      name = (name ?? '') + record.toString('latin1', offset + ENTRY_HEADER + 1, offset + length);
    offset += length;
  }
  return name;
}

/** Without Rock Ridge, a version stands behind the name: `FILE.EXT;1`. */
function isCalled({ name }: Entry, wanted: string): boolean {
  return name.replace(/\.?;\d+$/, '').toLowerCase() === wanted.toLowerCase();
}
