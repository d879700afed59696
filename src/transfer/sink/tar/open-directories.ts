import fs from 'node:fs';
import {
  fileTypeAt,
  makeDirectoryAt,
  openDirectoryAt,
  openPlaceAt,
  openPlaceBelow,
  S_IFDIR,
  S_IFLNK,
} from '../../../kernel/directory-tree.ts';
import { isSystemError } from '../../../kernel/system-error.ts';
import { followInnerLinks } from './inner-links.ts';
import type { MemberPath } from './member-path.ts';
import { escapes, malformed } from './tar-error.ts';
import type { TreeBelow } from './tree-below.ts';

/** Descriptors kept open between members. */
const MAX_OPEN = 64;
/** Of the directories on the way to a deep one, how many stay open: descriptors are few, paths may have 2048 names. */
const MAX_OPEN_ON_THE_WAY = 32;
/** A parent that no member of the archive stands for. */
export const MISSING_PARENT_MODE = 0o755;

/** What to do on the way to a directory: make those that are missing, or not, or not even follow links inside the tree. */
export type Way = 'create' | 'existing' | 'as-made';

/**
 * The directories of the target, found by walking from the target down, one name at a time, never through a
 * symbolic link: this is what keeps every member inside. The latest ones stay open.
 */
export class OpenDirectories {
  readonly #root: number;
  readonly #below: () => TreeBelow | undefined;
  /** By key, the latest used last. */
  readonly #open = new Map<string, number>();
  #made = 0;

  /**
   * @param root the target directory's descriptor, which stays the caller's
   * @param below who hears of directories that are made on the way
   */
  constructor(root: number, below: () => TreeBelow | undefined = () => undefined) {
    this.#root = root;
    this.#below = below;
  }

  /**
   * The directory that holds the last name of `path`, as a descriptor good until the next {@link trim}. Where links of the
   * tree are on the way, `path` becomes the one without them: see {@link followInnerLinks}.
   *
   * @throws SystemCallError `ENOENT` when one is missing and was not to be created
   * @throws RdpullError `tar-escape` when a symbolic link that leads outside is on the way, `tar-malformed` when another file is
   */
  parentOf(path: MemberPath, way: Way): number {
    const direct = this.#walk(path, way);
    if (direct !== undefined) return direct;
    if (way !== 'as-made') followInnerLinks(this.#root, path);
    const found = this.#walk(path, way);
    if (found !== undefined) return found;
    throw escapes(
      `the path ${path.printable()} goes through a symbolic link that somebody has just put there`,
    );
  }

  /** As {@link parentOf}; undefined when there is a symbolic link on the way. */
  #walk(path: MemberPath, way: Way): number | undefined {
    const depth = path.depth - 1;
    if (depth <= 0) return this.#root;
    let start = depth;
    let directory: number | undefined;
    while (start > 0) {
      directory = this.#use(path.key(start));
      if (directory !== undefined) break;
      start--;
    }
    directory ??= this.#root;
    // The names of a tarball come directory by directory: one that jumps about should not cost more than it does the
    // kernel alone.
    const place = depth - start > 1 ? openPlaceBelow(directory, path.joined(start, depth)) : undefined;
    if (place !== undefined) {
      this.#open.set(path.key(depth), place);
      return place;
    }
    let passing: number | undefined; // one on the way that does not stay open
    try {
      for (let index = start; index < depth; index++) {
        const entered = this.#enter(directory, path, index, way);
        if (entered === undefined) return undefined;
        directory = entered;
        if (passing !== undefined) fs.closeSync(passing);
        passing = depth - index > MAX_OPEN_ON_THE_WAY ? directory : undefined;
        if (passing === undefined) this.#open.set(path.key(index + 1), directory);
      }
    } finally {
      if (passing !== undefined) fs.closeSync(passing);
    }
    return directory;
  }

  /** How many directories were created because they were missing. */
  get made(): number {
    return this.#made;
  }

  /** The directory with this key was removed: something else may take its name. */
  forget(key: string): void {
    const directory = this.#open.get(key);
    if (directory === undefined) return;
    this.#open.delete(key);
    fs.closeSync(directory);
  }

  /** The directory with this key was removed, and all that was in it. */
  forgetBelow(key: string): void {
    this.forget(key);
    const below = [...this.#open.keys()].filter((other) => other.startsWith(`${key}\0`));
    for (const other of below) this.forget(other);
  }

  /** Closes the directories that were not used for longest. Not while a descriptor is in use. */
  trim(): void {
    if (this.#open.size <= MAX_OPEN) return;
    for (const [key, directory] of this.#open) {
      this.#open.delete(key);
      fs.closeSync(directory);
      if (this.#open.size <= MAX_OPEN) return;
    }
  }

  close(): void {
    for (const directory of this.#open.values()) fs.closeSync(directory);
    this.#open.clear();
  }

  #use(key: string): number | undefined {
    const directory = this.#open.get(key);
    if (directory !== undefined) {
      this.#open.delete(key);
      this.#open.set(key, directory);
    }
    return directory;
  }

  /** Undefined when the name is a symbolic link. */
  #enter(directory: number, path: MemberPath, index: number, way: Way): number | undefined {
    const name = path.name(index);
    try {
      return openPlaceAt(directory, name);
    } catch (error) {
      if (isSystemError(error, 'ENOENT') && way === 'create') {
        this.#made++;
        const below = this.#below();
        below?.entering(directory, path, index);
        makeDirectoryAt(directory, name);
        const made = openDirectoryAt(directory, name);
        fs.fchmodSync(made, MISSING_PARENT_MODE);
        below?.madeOnTheWay(path, index + 1);
        return made;
      }
      if (!isSystemError(error, 'ENOTDIR', 'ELOOP')) throw error;
      const type = fileTypeAt(directory, name);
      if (type === S_IFDIR) throw error; // somebody else put it there since
      if (type === S_IFLNK) return undefined;
      throw malformed(
        `the path ${path.printable()} lies below ${path.printable(index + 1)}, which is not a directory`,
      );
    }
  }
}
