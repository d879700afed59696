import { type Pointer, ptr } from 'bun:ffi';

/** struct linux_dirent64, linux/dirent.h */
const D_RECLEN = 16;
const D_TYPE = 18;
const D_NAME = 19;
const DT_DIR = 4;

/** Bytes for a list: enough for 27 of the longest names. */
export const ENTRIES_SIZE = 8192;

/** What getdents64(2) writes to. The runtime never moves it. */
export function entryBuffer(): Buffer {
  return Buffer.from(new ArrayBuffer(ENTRIES_SIZE));
}

/**
 * Tells what getdents64(2) has put into an {@link entryBuffer}, but for `.` and `..`.
 *
 * @param length bytes that it has put there
 * @param each takes a name, where it lies in the buffer, and whether the list says that it is a directory
 */
export function forEachEntry(
  entries: Buffer,
  length: number,
  each: (name: Pointer, isDirectory: boolean) => void,
): void {
  const address = ptr(entries);
  for (let at = 0; at < length; at += entries.readUInt16LE(at + D_RECLEN)) {
    if (isDots(entries, at + D_NAME)) continue;
    each((address + at + D_NAME) as Pointer, entries[at + D_TYPE] === DT_DIR);
  }
}

/** Whether the name at `at` is `.` or `..`. */
function isDots(entries: Buffer, at: number): boolean {
  if (entries[at] !== 0x2e) return false;
  return entries[at + 1] === 0 || (entries[at + 1] === 0x2e && entries[at + 2] === 0);
}
