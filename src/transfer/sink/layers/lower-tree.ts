import fs from 'node:fs';
import { RdpullError } from '../../../console/rdpull-error.ts';
import { entryBuffer, forEachName, nameBytes } from '../../../kernel/directory-entries.ts';
import {
  attributeNames,
  attributeOf,
  changeTime,
  fileTypeAt,
  type Name,
  NameBuffer,
  openDirectoryAt,
  removeAttribute,
  S_IFDIR,
  setAttribute,
  unlinkAt,
} from '../../../kernel/directory-tree.ts';
import { removeTreeAt } from '../../../kernel/remove-tree.ts';
import { isSystemError } from '../../../kernel/system-error.ts';
import { COST } from '../tar/kept-memory.ts';
import { MemberPath } from '../tar/member-path.ts';
import { MISSING_PARENT_MODE } from '../tar/open-directories.ts';
import { XATTR_NAME_POSIX_ACL_DEFAULT } from '../tar/posix-acl.ts';
import type { TreeBelow } from '../tar/tree-below.ts';
import type { TreeParts } from '../tar/tree-parts.ts';
import { PathSet } from './path-set.ts';
import { toHiddenPath, whiteoutOf } from './whiteout.ts';

/** linux/stat.h */
const S_ISGID = 0o2000;

/**
 * The bottom layer: there is nothing that its whiteouts could hide, and they are no part of the tree. A root directory that it
 * does not name is of 1970, as umoci has it, so that the same image makes the same tree.
 */
export function nothingBelow({ root, postponed }: TreeParts): TreeBelow {
  return {
    isTree: false,
    obeys: (path) => whiteoutOf(path) !== 'none',
    entering: () => undefined,
    madeOnTheWay: () => undefined,
    made: () => undefined,
    overDirectory: () => undefined,
    removes: () => false,
    finish() {
      if (!postponed.hasDirectory('')) changeTime(root, 0, 0);
    },
  };
}

/** A directory of a lower layer in which this one makes or removes something, without saying anything of itself. */
interface EnteredDirectory {
  readonly ino: bigint;
  readonly seconds: number;
  readonly nanoseconds: number;
  /** Its permission bits, when they had to be changed meanwhile. */
  readonly mode: number | undefined;
  /** The value of the extended attribute, when it had to be taken away meanwhile. */
  readonly defaultAcl: Uint8Array | undefined;
}

/**
 * The tree of the layers below, while a layer is applied to it: see README.md for the rules. What the layer has put there
 * itself is known by {@link PathSet}, so that a whiteout behind it hides nothing of it.
 */
export class LowerTree implements TreeBelow {
  readonly isTree = true;
  readonly #parts: TreeParts;
  /** What the layer has made, and the directories on the way to it. */
  readonly #made: PathSet;
  /** Below these nothing is left of lower layers; of the latter, not even they themselves. */
  readonly #opaque: PathSet;
  readonly #hidden: PathSet;
  readonly #entered = new Map<string, EnteredDirectory>();
  /** For walks of its own. */
  readonly #path: MemberPath;
  readonly #name = new NameBuffer(1);

  constructor(parts: TreeParts) {
    this.#parts = parts;
    this.#made = new PathSet(parts.kept);
    this.#opaque = new PathSet(parts.kept);
    this.#hidden = new PathSet(parts.kept);
    this.#path = new MemberPath(parts.limits);
    this.#name.bytes.write('.');
  }

  obeys(path: MemberPath): boolean {
    const whiteout = whiteoutOf(path);
    if (whiteout === 'none') return false;
    if (whiteout === 'ignored') return true;
    if (whiteout === 'hidden') toHiddenPath(path);
    const directory = this.#parentOf(path);
    if (directory === undefined) return true;
    if (whiteout === 'hidden') this.#hide(directory, path);
    else this.#hideAllIn(directory, path);
    return true;
  }

  entering(directory: number, path: MemberPath, depth: number): void {
    const key = path.key(depth);
    if (this.#entered.has(key) || this.#parts.postponed.hasDirectory(key)) return;
    if (depth > 0 && this.#made.has(path, depth)) return;
    const fd = openDirectoryAt(directory, this.#name.name(0));
    try {
      const entered = leftAsItIs(fd);
      this.#parts.kept.take(enteredBytes(key, entered), 'directories');
      this.#entered.set(key, entered);
    } finally {
      fs.closeSync(fd);
    }
  }

  madeOnTheWay(path: MemberPath, depth: number): void {
    this.#made.add(path, depth);
  }

  made(path: MemberPath): void {
    // From the last name on: where one is known, those before it are, too.
    for (let depth = path.depth; depth > 0 && this.#made.add(path, depth); depth--);
  }

  overDirectory(directory: number, path: MemberPath): void {
    // A second member for the same directory adds to the first.
    if (this.#parts.postponed.hasDirectory(path.key())) return;
    const name = path.depth === 0 ? this.#name.name(0) : path.lastName;
    const fd = openDirectoryAt(directory, name);
    try {
      const { mode } = fs.fstatSync(fd);
      removeAllAttributes(fd);
      if ((mode & S_ISGID) !== 0) fs.fchmodSync(fd, mode & 0o7777 & ~S_ISGID);
    } finally {
      fs.closeSync(fd);
    }
  }

  removes(directory: number, path: MemberPath): boolean {
    if (this.#made.has(path, path.depth)) return false;
    this.#removeLower(directory, path.lastName, path.key());
    return true;
  }

  finish(): void {
    for (const [key, entered] of this.#entered) {
      if (this.#parts.postponed.hasDirectory(key)) continue;
      this.#parts.directories.trim();
      const fd = this.#openDirectory(key);
      if (fd === undefined) continue;
      try {
        restore(fd, entered);
      } finally {
        fs.closeSync(fd);
      }
    }
  }

  // ---- Whiteouts

  /** The directory that the last name of `path` is in; undefined when there is none. */
  #parentOf(path: MemberPath): number | undefined {
    try {
      return this.#parts.directories.parentOf(path, 'existing');
    } catch (error) {
      if (isSystemError(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  #hide(directory: number, path: MemberPath): void {
    const type = typeIfThere(directory, path.lastName);
    if (type === undefined) return;
    const isOwn = this.#made.has(path, path.depth);
    if (isOwn && type !== S_IFDIR) return;
    if (!isOwn) {
      this.entering(directory, path, path.depth - 1);
      if (type === S_IFDIR) this.#removeLower(directory, path.lastName, path.key());
      else unlinkAt(directory, path.lastName);
      return;
    }
    if (!this.#hidden.add(path, path.depth)) return;
    const key = path.key();
    this.#makeOwn(key);
    this.#hideBelow(key);
  }

  #hideAllIn(directory: number, path: MemberPath): void {
    if (!this.#opaque.add(path, path.depth - 1)) return;
    this.entering(directory, path, path.depth - 1);
    this.#hideBelow(path.key(path.depth - 1));
  }

  /** Removes all that is of lower layers, from a directory that holds something of this one, and from those in it. */
  #hideBelow(top: string): void {
    const { kept, directories } = this.#parts;
    const waiting = [top];
    for (let key = waiting.pop(); key !== undefined; key = waiting.pop()) {
      directories.trim();
      if (key !== top) {
        kept.release(COST.name + key.length);
        this.#makeOwn(key);
      }
      for (const child of this.#hideIn(key)) {
        kept.take(COST.name + child.length, 'directories');
        waiting.push(child);
      }
    }
  }

  /** Removes what is of lower layers from one directory. Returns the keys of the directories that stay. */
  #hideIn(key: string): string[] {
    const directory = this.#openDirectory(key);
    if (directory === undefined) return [];
    const entries = entryBuffer();
    try {
      for (;;) {
        const own: string[] = [];
        let removed = false;
        forEachName(directory, entries, (name, isDirectory, offset) => {
          const child = (key === '' ? '' : `${key}\0`) + nameBytes(entries, offset).toString('latin1');
          this.#path.assignKey(child);
          if (!this.#made.has(this.#path, this.#path.depth)) {
            if (isDirectory || fileTypeAt(directory, name) === S_IFDIR)
              this.#removeLower(directory, name, child);
            else unlinkAt(directory, name);
            removed = true;
          } else if (isDirectory || fileTypeAt(directory, name) === S_IFDIR) {
            own.push(child);
          }
        });
        // Names may be passed over while others are removed.
        if (!removed) return own;
      }
    } finally {
      fs.closeSync(directory);
    }
  }

  /** A directory on the way to what this layer has made is no more that of a lower layer: this one says nothing of it. */
  #makeOwn(key: string): void {
    const entered = this.#entered.get(key);
    if (entered === undefined) return;
    this.#entered.delete(key);
    this.#parts.kept.release(enteredBytes(key, entered));
    if (this.#parts.postponed.hasDirectory(key)) return;
    const fd = this.#openDirectory(key);
    if (fd === undefined) return;
    try {
      removeAllAttributes(fd);
      fs.fchownSync(fd, 0, 0);
      fs.fchmodSync(fd, MISSING_PARENT_MODE);
    } finally {
      fs.closeSync(fd);
    }
  }

  #removeLower(directory: number, name: Name, key: string): void {
    removeTreeAt(directory, name);
    this.#parts.directories.forgetBelow(key);
  }

  /** Opens the directory with this key; undefined when it is not there any more. */
  #openDirectory(key: string): number | undefined {
    const { root, directories } = this.#parts;
    this.#path.assignKey(key);
    try {
      if (key === '') return openDirectoryAt(root, this.#name.name(0));
      return openDirectoryAt(directories.parentOf(this.#path, 'as-made'), this.#path.lastName);
    } catch (error) {
      if (error instanceof RdpullError || isSystemError(error, 'ENOENT', 'ENOTDIR', 'ELOOP'))
        return undefined;
      throw error;
    }
  }
}

/** Notes what unpacking into a directory would change of it, and takes away what would change what is unpacked. */
function leftAsItIs(fd: number): EnteredDirectory {
  const { ino, mtimeNs, mode } = fs.fstatSync(fd, { bigint: true });
  const nanoseconds = ((mtimeNs % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  const seconds = (mtimeNs - nanoseconds) / 1_000_000_000n;
  const permissions = Number(mode) & 0o7777;
  const handsGroupDown = (permissions & S_ISGID) !== 0;
  const defaultAcl = attributeOf(fd, XATTR_NAME_POSIX_ACL_DEFAULT);
  if (handsGroupDown) fs.fchmodSync(fd, permissions & ~S_ISGID);
  if (defaultAcl !== undefined) removeAttribute(fd, XATTR_NAME_POSIX_ACL_DEFAULT);
  return {
    ino,
    seconds: Number(seconds),
    nanoseconds: Number(nanoseconds),
    mode: handsGroupDown ? permissions : undefined,
    defaultAcl,
  };
}

function restore(fd: number, { ino, seconds, nanoseconds, mode, defaultAcl }: EnteredDirectory): void {
  // Another may have come in its place.
  if (fs.fstatSync(fd, { bigint: true }).ino !== ino) return;
  if (mode !== undefined) fs.fchmodSync(fd, mode);
  if (defaultAcl !== undefined) setAttribute(fd, XATTR_NAME_POSIX_ACL_DEFAULT, defaultAcl);
  changeTime(fd, seconds, nanoseconds);
}

function enteredBytes(key: string, { defaultAcl }: EnteredDirectory): number {
  return COST.record + key.length + (defaultAcl === undefined ? 0 : COST.bytes + defaultAcl.length);
}

/** Those that a security module keeps to itself stay: they are not the layer's to give or to take. */
function removeAllAttributes(fd: number): void {
  for (const name of attributeNames(fd)) {
    try {
      removeAttribute(fd, name);
    } catch (error) {
      const isKept = name.startsWith('security.') && isSystemError(error, 'EPERM', 'EACCES', 'EINVAL');
      if (!isKept && !isSystemError(error, 'ENODATA', 'ENOTSUP', 'EOPNOTSUPP')) throw error;
    }
  }
}

/** The type of a name; undefined when there is nothing. */
function typeIfThere(directory: number, name: Name): number | undefined {
  try {
    return fileTypeAt(directory, name);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw error;
  }
}
