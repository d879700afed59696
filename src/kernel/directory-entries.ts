import { type Pointer, ptr } from 'bun:ffi';
import { checked, libc } from './libc.ts';
import { isSystemError } from './system-error.ts';

/** struct linux_dirent64, linux/dirent.h */
const D_RECLEN = 16;
const D_TYPE = 18;
const D_NAME = 19;
const DT_DIR = 4;

const SEEK_SET = 0; // linux/fs.h

/** Bytes for a list: enough for 27 of the longest names. */
const ENTRIES_SIZE = 8192;

/** What {@link readEntries} writes to. The runtime never moves it. */
export function entryBuffer(): Buffer {
  return Buffer.from(new ArrayBuffer(ENTRIES_SIZE));
}

/**
 * Puts the next names of a directory into an {@link entryBuffer}. A directory that somebody has removed meanwhile has none: getdents64(2)
 * says ENOENT of it (fs/readdir.c, iterate_dir()).
 *
 * @param directory open for reading
 * @returns bytes that are there now; 0 at the end
 * @throws SystemCallError
 */
export function readEntries(directory: number, entries: Buffer): number {
  try {
    return checked('getdents64', listCalls().getdents64(directory, ptr(entries), ENTRIES_SIZE));
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return 0;
    throw error;
  }
}

/**
 * Tells what {@link readEntries} has put into an {@link entryBuffer}, but for `.` and `..`.
 *
 * @param length bytes that it has put there
 * @param each takes a name, where it lies in the buffer, whether the list says that it is a directory, and where in the
 *   buffer the name begins
 */
export function forEachEntry(entries: Buffer, length: number, each: TakeEntry): void {
  const address = ptr(entries);
  for (let at = 0; at < length; at += entries.readUInt16LE(at + D_RECLEN)) {
    if (isDots(entries, at + D_NAME)) continue;
    each((address + at + D_NAME) as Pointer, entries[at + D_TYPE] === DT_DIR, at + D_NAME);
  }
}

type TakeEntry = (name: Pointer, isDirectory: boolean, offset: number) => void;

/**
 * Tells all names in a directory, from the first on, but for `.` and `..`. Where some are removed meanwhile, others may be passed
 * over.
 *
 * @param directory open for reading
 * @param entries an {@link entryBuffer}, which is not used otherwise meanwhile
 * @throws SystemCallError
 */
export function forEachName(directory: number, entries: Buffer, each: TakeEntry): void {
  checked('lseek', listCalls().lseek(directory, 0, SEEK_SET));
  for (;;) {
    const length = readEntries(directory, entries);
    if (length === 0) return;
    forEachEntry(entries, length, each);
  }
}

/** The bytes of a name in an {@link entryBuffer}, which are good as long as its list is. */
export function nameBytes(entries: Buffer, offset: number): Buffer {
  return entries.subarray(offset, entries.indexOf(0, offset));
}

const openListCalls = () =>
  libc({
    getdents64: { args: ['i32', 'ptr', 'u64'], returns: 'i64' },
    lseek: { args: ['i32', 'i64', 'i32'], returns: 'i64' },
  });

let opened: ReturnType<typeof openListCalls> | undefined;

/** Only when a directory is listed: who takes entries apart may have read them otherwise. */
function listCalls(): ReturnType<typeof openListCalls> {
  opened ??= openListCalls();
  return opened;
}

/** Whether the name at `at` is `.` or `..`. */
function isDots(entries: Buffer, at: number): boolean {
  if (entries[at] !== 0x2e) return false;
  return entries[at + 1] === 0 || (entries[at + 1] === 0x2e && entries[at + 2] === 0);
}
