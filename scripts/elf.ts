/** The program headers of a 64-bit little-endian ELF executable, and what can be cut out of it: elf(5), elf.h. */

export const PT_LOAD = 1;
const PT_NOTE = 4;
const PF_R = 4;

/** Elf64_Ehdr */
const E_PHOFF = 32;
const E_SHOFF = 40;
const E_PHENTSIZE = 54;
const E_PHNUM = 56;
const E_SHNUM = 60;

/** Elf64_Phdr, what lies where in the file and in memory, in bytes. */
export interface ProgramHeader {
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly virtualAddress: number;
  readonly physicalAddress: number;
  readonly fileSize: number;
  readonly memorySize: number;
  readonly alignment: number;
}

export function programHeaders(file: Buffer): ProgramHeader[] {
  const size = file.readUInt16LE(E_PHENTSIZE);
  const table = Number(file.readBigUInt64LE(E_PHOFF));
  return Array.from({ length: file.readUInt16LE(E_PHNUM) }, (_, index) => {
    const header = table + size * index;
    const word = (position: number) => Number(file.readBigUInt64LE(header + position));
    return {
      type: file.readUInt32LE(header),
      flags: file.readUInt32LE(header + 4),
      offset: word(8),
      virtualAddress: word(16),
      physicalAddress: word(24),
      fileSize: word(32),
      memorySize: word(40),
      alignment: word(48),
    };
  });
}

function writeProgramHeaders(file: Buffer, headers: readonly ProgramHeader[]): void {
  const size = file.readUInt16LE(E_PHENTSIZE);
  const table = Number(file.readBigUInt64LE(E_PHOFF));
  if (headers.length > file.readUInt16LE(E_PHNUM)) throw new Error('there is no room for a program header');
  headers.forEach((each, index) => {
    const header = table + size * index;
    file.writeUInt32LE(each.type, header);
    file.writeUInt32LE(each.flags, header + 4);
    const words = [
      each.offset,
      each.virtualAddress,
      each.physicalAddress,
      each.fileSize,
      each.memorySize,
      each.alignment,
    ];
    words.forEach((word, at) => {
      file.writeBigUInt64LE(BigInt(word), header + 8 + 8 * at);
    });
  });
  file.writeUInt16LE(headers.length, E_PHNUM);
}

/**
 * The segment with the constants of the runtime, the first that is neither written to nor run: a part of `file`.
 *
 * @throws Error when there is none
 */
export function readOnlyData(file: Buffer): Buffer {
  const header = programHeaders(file).find(({ type, flags }) => type === PT_LOAD && flags === PF_R);
  if (header === undefined) throw new Error('the executable has no segment of constants');
  return file.subarray(header.offset, header.offset + header.fileSize);
}

/**
 * Removes the section headers. strip(1), which dracut, dpkg and rpm run over what they install, would take the program that
 * Bun appended for rubbish and leave a plain `bun`; without section headers it refuses to touch the file. The kernel
 * and the dynamic loader need only the program headers.
 */
export function withoutSectionHeaders(file: Buffer): Buffer {
  const end = Math.max(...programHeaders(file).map(({ offset, fileSize }) => offset + fileSize));
  file.writeBigUInt64LE(0n, E_SHOFF);
  file.writeUInt32LE(0, E_SHNUM); // and e_shstrndx
  return file.subarray(0, end);
}

/**
 * Takes the whole pages between two offsets out of the file, and out of memory: the segment around them becomes two, and
 * everything else stays at its address. The second one takes the place of the notes in the table: what they say (the
 * oldest kernel, an identifier of the build) nobody asks of an executable without section headers.
 *
 * @param file without section headers
 * @throws Error when the pages belong to no segment, or to several
 */
export function withoutPages(file: Buffer, from: number, to: number): Buffer {
  const headers = programHeaders(file);
  const around = headers.find(
    ({ type, offset, fileSize }) => type === PT_LOAD && offset <= from && to <= offset + fileSize,
  );
  if (around === undefined) throw new Error(`no segment holds the bytes from ${from} to ${to}`);
  const begin = Math.ceil(from / around.alignment) * around.alignment;
  const length = Math.floor(to / around.alignment) * around.alignment - begin;
  if (length <= 0) return file;
  const end = begin + length;
  const made = headers.flatMap((header): ProgramHeader[] => {
    const { type, offset, fileSize } = header;
    if (type === PT_NOTE) return [];
    if (header === around) {
      const before = begin - offset;
      const behind = end - offset;
      return [
        { ...header, fileSize: before, memorySize: before },
        {
          ...header,
          offset: begin,
          virtualAddress: header.virtualAddress + behind,
          physicalAddress: header.physicalAddress + behind,
          fileSize: fileSize - behind,
          memorySize: header.memorySize - behind,
        },
      ];
    }
    if (offset >= end) return [{ ...header, offset: offset - length }];
    if (offset + fileSize > begin) throw new Error('another segment lies in the pages that are cut out');
    return [header];
  });
  const result = Buffer.concat([file.subarray(0, begin), file.subarray(end)]);
  writeProgramHeaders(result, made);
  return result;
}
