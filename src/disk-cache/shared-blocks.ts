import fs from 'node:fs';
import { cloneRange } from '../kernel/clone-range.ts';

/** What is compared, and shared, at once: of an image of which 1 % of the blocks of 4 KiB have changed, some 96 % is alike. */
const GRAIN_BYTES = 16 * 1024;

/** A part of a piece of a file, in bytes of the piece. */
export interface PiecePart {
  readonly start: number;
  readonly end: number;
}

/**
 * What a new file of the cache has at the same place as an older one: on file systems that can (btrfs, xfs), both have the same blocks of the
 * disk then, until one of them goes.
 */
export class SharedBlocks implements Disposable {
  /** undefined: nothing can be shared, or no longer. */
  #fd: number | undefined;
  #older = Buffer.alloc(0);

  /** @param older that there is one is not certain, nor that the disk can read it: it is no worse than no older file */
  constructor(older: string | undefined) {
    this.#fd = older === undefined ? undefined : openedIfThere(older);
  }

  /**
   * Shares what it can of a piece of the new file.
   *
   * @param target the new file
   * @param offset of the piece, in bytes
   * @returns the parts that have to be written
   * @throws SystemCallError when the file system can share, and this does not become part of the new file
   */
  share(target: number, offset: number, piece: Buffer): readonly PiecePart[] {
    if (this.#fd === undefined || offset % GRAIN_BYTES !== 0) return [{ start: 0, end: piece.length }];
    const older = this.#olderAt(this.#fd, offset, piece.length);
    const toWrite: PiecePart[] = [];
    for (const { start, end, isAlike } of runs(piece, older)) {
      if (isAlike && this.#share(target, offset + start, end - start)) continue;
      toWrite.push({ start, end });
    }
    return toWrite;
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined) fs.closeSync(this.#fd);
    this.#fd = undefined;
  }

  #olderAt(fd: number, offset: number, length: number): Buffer {
    if (this.#older.length < length) this.#older = Buffer.alloc(length);
    try {
      return this.#older.subarray(0, fs.readSync(fd, this.#older, 0, length, offset));
    } catch {
      this[Symbol.dispose]();
      return this.#older.subarray(0, 0);
    }
  }

  #share(target: number, offset: number, length: number): boolean {
    if (this.#fd === undefined) return false;
    const isShared = cloneRange(this.#fd, offset, length, target, offset);
    if (!isShared) this[Symbol.dispose]();
    return isShared;
  }
}

function openedIfThere(file: string): number | undefined {
  try {
    return fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW);
  } catch {
    return undefined;
  }
}

/** The parts of a piece, by whether the older file has them: whole grains, one behind the other together. What is shorter is not alike. */
function* runs(piece: Buffer, older: Buffer): Generator<PiecePart & { readonly isAlike: boolean }> {
  const isAlike = (start: number) => {
    const end = start + GRAIN_BYTES;
    return end <= older.length && end <= piece.length && piece.compare(older, start, end, start, end) === 0;
  };
  for (let start = 0; start < piece.length; ) {
    const kind = isAlike(start);
    let end = start + GRAIN_BYTES;
    while (end < piece.length && isAlike(end) === kind) end += GRAIN_BYTES;
    yield { start, end: Math.min(end, piece.length), isAlike: kind };
    start = end;
  }
}
