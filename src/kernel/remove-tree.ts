import type { Pointer } from 'bun:ffi';
import fs from 'node:fs';
import { entryBuffer, forEachName } from './directory-entries.ts';
import { checked, cString, libc } from './libc.ts';
import { RENAME_NOREPLACE } from './rename.ts';
import { isSystemError } from './system-error.ts';

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = fs.constants;
const O_CLOEXEC = 0o2000000; // asm-generic/fcntl.h
const AT_REMOVEDIR = 0x200; // linux/fcntl.h

/**
 * Removes a file, or a directory with all that is in it; nothing at `path` is fine, too. Follows no symbolic link,
 * whoever else is at work in there.
 *
 * Takes two descriptors and the same time for each name, however deep it lies: a directory in a directory is first
 * moved up to the top. What walks down and up again instead, as Bun's fs.rmSync() does, takes minutes for what a hostile
 * tarball can nest.
 *
 * @throws SystemCallError, or Node's own
 */
export function removeTree(path: string): void {
  if (isRemovedEmpty(path)) return;
  const top = openTop(path);
  if (top === undefined) return;
  try {
    unlessGone(() => emptyDirectory(top));
  } finally {
    fs.closeSync(top);
  }
  unlessGone(() => fs.rmdirSync(path));
}

/**
 * Removes the directory `name` of an open one with all that is in it, as {@link removeTree} does.
 *
 * @throws SystemCallError
 */
export function removeTreeAt(directory: number, name: Pointer): void {
  const c = calls();
  const flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  const top = checked('openat', c.openat(directory, name, flags, 0));
  try {
    emptyDirectory(top);
  } finally {
    fs.closeSync(top);
  }
  checked('unlinkat', c.unlinkat(directory, name, AT_REMOVEDIR));
}

function emptyDirectory(top: number): void {
  const c = calls();
  const [topEntries, innerEntries] = [entryBuffer(), entryBuffer()];
  let moved = 0;

  /** Passes over a directory until it is empty, for it may skip names while others are removed. */
  function empty(directory: number, entries: Buffer, removeDirectory: (name: Pointer) => void): void {
    let found: boolean;
    do {
      found = false;
      forEachName(directory, entries, (name, isDirectory) => {
        found = true;
        if (isDirectory) removeDirectory(name);
        else remove(directory, name, removeDirectory);
      });
    } while (found);
  }

  function remove(directory: number, name: Pointer, removeDirectory: (name: Pointer) => void): void {
    try {
      unlessGone(() => checked('unlinkat', c.unlinkat(directory, name, 0)));
    } catch (error) {
      if (!isSystemError(error, 'EISDIR')) throw error; // a file system that does not tell types in its lists
      removeDirectory(name);
    }
  }

  function removeFromTop(name: Pointer): void {
    unlessGone(() => {
      const flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
      const directory = checked('openat', c.openat(top, name, flags, 0));
      try {
        empty(directory, innerEntries, (inner) => moveUp(directory, inner));
      } finally {
        fs.closeSync(directory);
      }
      checked('unlinkat', c.unlinkat(top, name, AT_REMOVEDIR));
    });
  }

  function moveUp(directory: number, name: Pointer): void {
    for (;;) {
      const free = cString(`${moved++}`);
      try {
        unlessGone(() => checked('renameat2', c.renameat2(directory, name, top, free, RENAME_NOREPLACE)));
        return;
      } catch (error) {
        if (!isSystemError(error, 'EEXIST')) throw error;
      }
    }
  }

  empty(top, topEntries, removeFromTop);
}

const openCalls = () =>
  libc({
    openat: { args: ['i32', 'ptr', 'i32', 'u32'], returns: 'i32' },
    unlinkat: { args: ['i32', 'ptr', 'i32'], returns: 'i32' },
    renameat2: { args: ['i32', 'ptr', 'i32', 'ptr', 'u32'], returns: 'i32' },
  });

let opened: ReturnType<typeof openCalls> | undefined;

/** Only when there is something to remove, which is seldom. */
function calls(): ReturnType<typeof openCalls> {
  opened ??= openCalls();
  return opened;
}

/** Removes a directory in which there is nothing, as most are when what was made in them is published. */
function isRemovedEmpty(path: string): boolean {
  try {
    fs.rmdirSync(path);
    return true;
  } catch {
    // What is wrong will be said by who looks closer.
    return false;
  }
}

/** Opens the directory at `path`, or removes what else is there. */
function openTop(path: string): number | undefined {
  try {
    return fs.openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  } catch (error) {
    if (!isSystemError(error, 'ENOTDIR', 'ELOOP', 'ENOENT')) throw error;
    unlessGone(() => fs.unlinkSync(path));
    return undefined;
  }
}

/** Somebody else may remove the same. */
function unlessGone(call: () => void): void {
  try {
    call();
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error;
  }
}
