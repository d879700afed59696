import fs from 'node:fs';
import { printable } from '../console/printable.ts';
import { RdpullError, reasonOf } from '../console/rdpull-error.ts';
import { isSystemError } from '../kernel/system-error.ts';
import { malformedUki } from './malformed-uki.ts';
import { type Executable, readExecutable, type Section } from './portable-executable.ts';

/** Bytes of a section of text that are read. */
const TEXT_MAX = 64 * 1024;

const CHUNK_BYTES = 256 * 1024;

/** Begins the sections of one profile (UAPI.5, "Multi-Profile UKIs"). */
const PROFILE = '.profile';

/** A Unified Kernel Image that is open for reading (UAPI.5): what is booted from it when nobody chooses a profile. */
export interface Uki extends Disposable {
  /** Bytes of the file. */
  readonly size: number;
  readonly architecture: Executable['architecture'];
  /** How many profiles it has; 0 when it has no more than itself. */
  readonly profiles: number;
  /**
   * The text in a section, without the space and the NULs at its end; undefined when there is no such section.
   *
   * @throws RdpullError uki-malformed, file-unreadable
   */
  text(name: string): string | undefined;
  /** The bytes of a section, of which each chunk is valid until the next is asked for; undefined when there is none. */
  chunks(name: string): { readonly size: number; readonly body: Iterable<Uint8Array> } | undefined;
}

/** @throws RdpullError file-not-found, file-unreadable, uki-malformed */
export function openUki(path: string): Uki {
  let fd: number;
  try {
    fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  } catch (error) {
    throw unreadable(path, error);
  }
  try {
    const stat = fs.fstatSync(fd);
    if (!stat.isFile()) {
      throw new RdpullError('file-unreadable', `${printable(path)} is not a regular file`, 'name a UKI');
    }
    const read = (offset: number, length: number) => readExactly(fd, path, offset, length);
    const executable = readExecutable(read, stat.size);
    const { sections, profiles } = defaultSections(executable.sections);
    return {
      size: stat.size,
      architecture: executable.architecture,
      profiles,
      text(name) {
        const section = sections.get(name);
        if (section === undefined) return undefined;
        if (section.size > TEXT_MAX) {
          throw malformedUki(`its section ${name} has ${section.size} bytes, and ${TEXT_MAX} are read`);
        }
        return new TextDecoder().decode(read(section.offset, section.size)).replace(/[\0\s]+$/, '');
      },
      chunks(name) {
        const section = sections.get(name);
        return section && { size: section.size, body: chunksOf(section, read) };
      },
      [Symbol.dispose]: () => fs.closeSync(fd),
    };
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
}

/** Those before the first profile, and in their place those of the first profile. Of several the first one counts. */
function defaultSections(all: readonly Section[]): {
  readonly sections: ReadonlyMap<string, Section>;
  readonly profiles: number;
} {
  const starts = all.flatMap(({ name }, index) => (name === PROFILE ? [index] : []));
  const [first = all.length, second = all.length] = starts;
  const sections = new Map<string, Section>();
  for (const section of [...all.slice(first, second), ...all.slice(0, first)]) {
    if (!sections.has(section.name)) sections.set(section.name, section);
  }
  return { sections, profiles: starts.length };
}

function* chunksOf(
  { offset, size }: Section,
  read: (offset: number, length: number) => Uint8Array,
): Generator<Uint8Array> {
  for (let done = 0; done < size; done += CHUNK_BYTES) {
    yield read(offset + done, Math.min(CHUNK_BYTES, size - done));
  }
}

function readExactly(fd: number, path: string, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    let got: number;
    try {
      got = fs.readSync(fd, bytes, done, length - done, offset + done);
    } catch (error) {
      throw unreadable(path, error);
    }
    if (got === 0) throw malformedUki('it has become shorter meanwhile');
    done += got;
  }
  return bytes;
}

function unreadable(path: string, cause: unknown): RdpullError {
  if (isSystemError(cause, 'ENOENT', 'ENOTDIR')) {
    return new RdpullError('file-not-found', `there is no file ${printable(path)}`, 'check the path', {
      cause,
    });
  }
  return new RdpullError(
    'file-unreadable',
    `${printable(path)} cannot be read: ${reasonOf(cause)}`,
    'check its permissions, and the disk',
    { cause },
  );
}
