import { type Pointer, ptr } from 'bun:ffi';
import fs from 'node:fs';
import { entryBuffer, forEachEntry, readEntries } from './directory-entries.ts';
import { libc } from './libc.ts';

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = fs.constants;
const O_CLOEXEC = 0o2000000; // asm-generic/fcntl.h
const AT_REMOVEDIR = 0x200; // linux/fcntl.h
const AT_SYMLINK_NOFOLLOW = 0x100;

/** asm-generic/unistd.h; the same on every architecture. */
const SYS_openat2 = 437;
/** linux/openat2.h */
const RESOLVE_NO_XDEV = 0x01;
const RESOLVE_NO_SYMLINKS = 0x04;
const RESOLVE_BENEATH = 0x08;

/** struct statx, linux/stat.h */
const STATX_NLINK = 0x04;
const STATX_BLOCKS = 0x400;
const STX_NLINK = 16;
const STX_BLOCKS = 48;
const SECTOR = 512;

/** Each level takes a descriptor. What lies deeper is nothing that belongs to an initrd, and is left. */
const LEVELS = 64;

/** What has become of a file system. */
export interface Emptied {
  /** Names of files that are gone. */
  files: number;
  /** Bytes that their last names held; what a process still has open takes its memory until it is closed. */
  bytes: number;
  /** Files that could not be removed. */
  left: number;
}

/**
 * Removes every file on a file system below a directory, and the directories in those that lie at its top. These themselves
 * stay: in another mount namespace something may be mounted on them, and would be unmounted with them. No mount is ever
 * crossed, one of the same file system neither, and no symbolic link followed. What cannot be removed is passed over.
 *
 * @param top an open directory; stays open
 * @throws SystemCallError when it cannot be listed
 */
export function emptyFileSystem(top: number): Emptied {
  const c = libc({
    syscall: { args: ['i64', 'i32', 'ptr', 'ptr', 'u64'], returns: 'i64' },
    unlinkat: { args: ['i32', 'ptr', 'i32'], returns: 'i32' },
    statx: { args: ['i32', 'ptr', 'i32', 'u32', 'ptr'], returns: 'i32' },
  });
  const emptied: Emptied = { files: 0, bytes: 0, left: 0 };
  const status = Buffer.from(new ArrayBuffer(256));
  /** struct open_how, linux/openat2.h: flags, mode, resolve. */
  const how = Buffer.from(new ArrayBuffer(24));
  how.writeBigUInt64LE(BigInt(O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), 0);
  how.writeBigUInt64LE(BigInt(RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH), 16);

  /** Returns how many files are left in a directory. */
  function empty(directory: number, level: number): number {
    let left = 0;
    for (const entries of list(directory)) {
      forEachEntry(entries, entries.length, (name, isDirectory) => {
        const files = isDirectory ? emptyDirectory(directory, name, level) : 1;
        const isGone = isDirectory ? removeDirectory(directory, name, level) : removeFile(directory, name);
        if (!isGone) left += files;
      });
    }
    return left;
  }

  /** All of it before the first is removed: a list may skip names while others go. */
  function list(directory: number): Buffer[] {
    const parts: Buffer[] = [];
    for (;;) {
      const entries = entryBuffer();
      const length = readEntries(directory, entries);
      if (length === 0) return parts;
      parts.push(entries.subarray(0, length));
    }
  }

  /** Returns whether the file is gone: before Linux 7 systemd removes the same at the same time. */
  function removeFile(directory: number, name: Pointer): boolean {
    if (!look(directory, name)) return true;
    if (c.unlinkat(directory, name, 0) < 0) return !look(directory, name);
    emptied.files++;
    if (status.readUInt32LE(STX_NLINK) === 1) {
      emptied.bytes += Number(status.readBigUInt64LE(STX_BLOCKS)) * SECTOR;
    }
    return true;
  }

  /** Returns whether there is such a file. */
  function look(directory: number, name: Pointer): boolean {
    return c.statx(directory, name, AT_SYMLINK_NOFOLLOW, STATX_NLINK | STATX_BLOCKS, ptr(status)) === 0;
  }

  /** Returns how many files are left in a directory; none of what is mounted there, or too deep, is ever looked at. */
  function emptyDirectory(parent: number, name: Pointer, level: number): number {
    if (level === LEVELS) return 0;
    const directory = Number(c.syscall(SYS_openat2, parent, name, ptr(how), how.length));
    if (directory < 0) return 0;
    try {
      return empty(directory, level + 1);
    } finally {
      fs.closeSync(directory);
    }
  }

  function removeDirectory(parent: number, name: Pointer, level: number): boolean {
    return level > 0 && c.unlinkat(parent, name, AT_REMOVEDIR) === 0;
  }

  emptied.left = empty(top, 0);
  return emptied;
}
