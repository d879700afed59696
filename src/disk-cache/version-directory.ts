import fs from 'node:fs';
import path from 'node:path';
import { tryLockFile } from '../kernel/file-lock.ts';
import { removeTree } from '../kernel/remove-tree.ts';
import { syncDirectory } from '../kernel/sync-directory.ts';
import type { FileType } from '../request/image-class.ts';
import { type CachedImage, PIN_FILE, readImages } from './cached-image.ts';
import { FILES_SUFFIX, formatCachedName } from './cached-name.ts';
import type { DiskCache } from './disk-cache.ts';

/** What is being written has a name that is no image's; under the lock of the directory, what is there was left behind. */
export const UNFINISHED = '.#rdpull-';

/** Which images belong together: all versions of one. */
export interface ImageFamily {
  /** The directory of the class: `machines`. */
  readonly directory: string;
  readonly stem: string;
  readonly type: FileType;
}

/** `machines/root.raw.v`, below the cache (UAPI.10, "Versioned Resources"). */
export const familyPath = ({ directory, stem, type }: ImageFamily): string =>
  path.join(directory, `${stem}.${type}.v`);

/** The family that a directory of this path is for; undefined when it is for none. */
export function familyOfPath(directory: string, name: string): ImageFamily | undefined {
  const [, stem, type] = /^(.+)\.(raw|tar)\.v$/s.exec(name) ?? [];
  if (stem === undefined) return undefined;
  return { directory, stem, type: type === 'raw' ? 'raw' : 'tar' };
}

/**
 * The versions of one image, and nobody else's: the directory is locked (flock(2)) until it is disposed of, against other processes and,
 * where the file system is shared, other machines.
 */
export class VersionDirectory implements Disposable {
  readonly path: string;
  readonly family: ImageFamily;
  readonly #fd: number;

  private constructor(directory: string, family: ImageFamily, fd: number) {
    this.path = directory;
    this.family = family;
    this.#fd = fd;
  }

  /**
   * Makes the directory where it is missing and can be made. What an interrupted rdpull has left in it goes.
   *
   * @returns undefined when there is none; `busy` when somebody else is at work there
   * @throws Error of node:fs
   */
  static open({ root, isWritable }: DiskCache, family: ImageFamily): VersionDirectory | 'busy' | undefined {
    const directory = path.join(root, familyPath(family));
    if (isWritable) makeDirectory(root, directory);
    else if (!fs.existsSync(directory)) return undefined;
    const fd = fs.openSync(
      directory,
      fs.constants.O_RDONLY | fs.constants.O_DIRECTORY | fs.constants.O_NOFOLLOW,
    );
    try {
      if (!tryLockFile(fd)) {
        fs.closeSync(fd);
        return 'busy';
      }
      const opened = new VersionDirectory(directory, family, fd);
      if (isWritable) opened.#removeLeftovers();
      return opened;
    } catch (error) {
      fs.closeSync(fd);
      throw error;
    }
  }

  /** The newest first. */
  images(): CachedImage[] {
    return readImages(this.path, this.family.stem);
  }

  /** Counts a boot of an image, before it is used. */
  countDown(image: CachedImage): CachedImage {
    const { left, done } = image.tries ?? { left: 1, done: 0 };
    return this.#rename(image, { left: Math.max(0, left - 1), done: done + 1 });
  }

  /** An image that has come up is not counted any more. */
  bless(image: CachedImage): CachedImage {
    return this.#rename(image, undefined);
  }

  /** What is removed is first no image any more, and then nothing at all. */
  remove({ path: file, files }: CachedImage): void {
    fs.unlinkSync(file);
    removeTree(files);
    this.sync();
  }

  pin({ files }: CachedImage, isPinned: boolean): void {
    const file = path.join(files, PIN_FILE);
    if (isPinned) fs.writeFileSync(file, '');
    else fs.rmSync(file, { force: true });
    syncDirectory(files);
  }

  /** Waits until the names in it are on the disk. */
  sync(): void {
    fs.fsyncSync(this.#fd);
  }

  [Symbol.dispose](): void {
    fs.closeSync(this.#fd);
  }

  #rename(image: CachedImage, tries: CachedImage['tries']): CachedImage {
    const renamed = { ...image, tries };
    const file = path.join(this.path, formatCachedName(this.family.stem, renamed));
    fs.renameSync(image.path, file);
    this.sync();
    return { ...renamed, path: file };
  }

  #removeLeftovers(): void {
    const names = fs.readdirSync(this.path);
    for (const name of names) {
      const isOrphaned =
        name.endsWith(FILES_SUFFIX) &&
        !names.some((other) => belongs(other, name.slice(0, -FILES_SUFFIX.length)));
      const leftover = path.join(this.path, name);
      if (name.startsWith(UNFINISHED) || isOrphaned) removeAny(leftover);
    }
  }
}

function makeDirectory(root: string, directory: string): void {
  if (fs.mkdirSync(directory, { recursive: true, mode: 0o755 }) === undefined) return;
  syncDirectory(path.dirname(directory));
  syncDirectory(root);
}

/** Whether `file` is the image of the name `plain`, counted or not. */
function belongs(file: string, plain: string): boolean {
  if (!file.startsWith(plain) || file.endsWith(FILES_SUFFIX)) return false;
  return /^[+.]/.test(file.slice(plain.length));
}

function removeAny(file: string): void {
  if (fs.lstatSync(file).isDirectory()) removeTree(file);
  else fs.unlinkSync(file);
}
