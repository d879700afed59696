import { quoted } from '../console/printable.ts';
import { malformedUki } from './malformed-uki.ts';

/**
 * The little of PE/COFF (Microsoft's "PE Format") that is needed to find the sections of a UKI. Everything is checked
 * against the length of the file: it may come from anywhere.
 */

/** Section "MS-DOS Stub": the header, and where in it the offset of the PE signature stands. */
const DOS_HEADER = { bytes: 64, lfanew: 0x3c } as const;
const DOS_MAGIC = 0x5a4d;

/** "PE\0\0", and the COFF file header behind it. */
const PE_MAGIC = 0x0000_4550;
const COFF = { bytes: 24, machine: 4, sections: 6, optionalBytes: 20 } as const;

/** By Node's names. rdpull itself runs on the first two. */
export type UkiArchitecture = 'x64' | 'arm64' | 'riscv64' | 'loong64';

/** Section "Machine Types". */
const ARCHITECTURES: ReadonlyMap<number, UkiArchitecture> = new Map([
  [0x8664, 'x64'],
  [0xaa64, 'arm64'],
  [0x5064, 'riscv64'],
  [0x6264, 'loong64'],
]);

/** The first field of the optional header, which every executable has: PE32 and PE32+. */
const OPTIONAL_MAGICS: readonly number[] = [0x10b, 0x20b];

const SECTION = { bytes: 40, name: 8, virtualSize: 8, rawSize: 16, rawOffset: 20 } as const;
/** The header of Windows' loader says 96; UKIs with many profiles and device trees may have more. */
const SECTIONS_MAX = 1024;

/** One section of an executable. Bytes. */
export interface Section {
  /** At most eight characters, such as `.cmdline`. */
  readonly name: string;
  readonly offset: number;
  /** Of its content: without what fills it up to the alignment of the file. */
  readonly size: number;
}

/** Reads exactly `length` bytes at `offset` of a file. */
export type ReadExactly = (offset: number, length: number) => Uint8Array;

/** Whether a file begins like a PE executable. */
export function startsLikeExecutable(start: Uint8Array): boolean {
  return start[0] === (DOS_MAGIC & 0xff) && start[1] === DOS_MAGIC >> 8;
}

/** An executable for EFI. */
export interface Executable {
  /** undefined for one that is not known here. */
  readonly architecture: UkiArchitecture | undefined;
  /** In the order of their table. */
  readonly sections: readonly Section[];
}

/**
 * What a PE executable is for, and its sections.
 *
 * @param fileSize in bytes
 * @throws RdpullError uki-malformed
 */
export function readExecutable(read: ReadExactly, fileSize: number): Executable {
  const view = (offset: number, length: number, what: string) => {
    if (offset + length > fileSize) throw malformedUki(`it ends in the middle of ${what}`);
    const bytes = read(offset, length);
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
  const dos = view(0, DOS_HEADER.bytes, 'its DOS header');
  if (dos.getUint16(0, true) !== DOS_MAGIC)
    throw malformedUki('it does not begin with "MZ", as EFI programs do');
  const start = dos.getUint32(DOS_HEADER.lfanew, true);
  const coff = view(start, COFF.bytes, 'its PE header');
  if (coff.getUint32(0, true) !== PE_MAGIC) throw malformedUki('it has no PE header');
  const count = coff.getUint16(COFF.sections, true);
  if (count > SECTIONS_MAX) throw malformedUki(`it has ${count} sections, and ${SECTIONS_MAX} are read`);
  const optionalBytes = coff.getUint16(COFF.optionalBytes, true);
  const optional = view(start + COFF.bytes, 2, 'its optional header');
  if (optionalBytes < 2 || !OPTIONAL_MAGICS.includes(optional.getUint16(0, true))) {
    throw malformedUki('it has no optional header, and so is no executable');
  }
  const table = view(start + COFF.bytes + optionalBytes, count * SECTION.bytes, 'its table of sections');
  const sections: Section[] = [];
  for (let at = 0; at < count * SECTION.bytes; at += SECTION.bytes) {
    const name = nameAt(table, at);
    const virtualSize = table.getUint32(at + SECTION.virtualSize, true);
    const rawSize = table.getUint32(at + SECTION.rawSize, true);
    const offset = table.getUint32(at + SECTION.rawOffset, true);
    if (rawSize > 0 && offset + rawSize > fileSize) {
      throw malformedUki(`its section ${quoted(name)} goes on behind the end of the file`);
    }
    // What memory has more of it than the file are zeros.
    sections.push({ name, offset, size: Math.min(virtualSize, rawSize) });
  }
  return { architecture: ARCHITECTURES.get(coff.getUint16(COFF.machine, true)), sections };
}

function nameAt(table: DataView, at: number): string {
  let name = '';
  for (let index = 0; index < SECTION.name; index++) {
    const byte = table.getUint8(at + index);
    if (byte === 0) break;
    name += String.fromCharCode(byte);
  }
  return name;
}
