import fs from 'node:fs';
import { printable } from '../../console/printable.ts';
import { size } from '../../console/quantity.ts';
import { RdpullError } from '../../console/rdpull-error.ts';
import { shellWord } from '../../console/shell-command.ts';
import { tryLockFile, tryShareFile } from '../../kernel/file-lock.ts';
import { isSystemError } from '../../kernel/system-error.ts';
import { limitTmpfs } from '../../kernel/tmpfs.ts';
import { inInitrd } from '../../request/initrd.ts';
import type { ExpectedSize } from '../expected-size.ts';
import { type FileSystem, inspectFileSystem } from './file-system.ts';
import { availableMemory } from './memory.ts';

const MIB = 1024 * 1024;

/**
 * RAM that no image takes: 150 MiB are what rdpull itself may need at most while it works, and the programs of the
 * system that is to be booted afterwards; the rest keeps the kernel out of trouble meanwhile.
 */
const RESERVE_BYTES = 192 * MIB;

/** RAM that the kernel takes for an inode of tmpfs and its name. */
const BYTES_PER_INODE = 1024;
/** Of the RAM for a tree, the share that inodes may take: a file has 4 KiB or more in most. */
const INODE_SHARE = 0.25;

/** How long another rdpull may hold the file system's limits to itself, in ms: it changes them, and that is all. */
const LOCK_PATIENCE = 2000;

/** What an object takes, as far as that is known. */
export type RoomNeed = Pick<ExpectedSize, 'uncompressed' | 'exact' | 'occupied'>;

/**
 * The room for one object in its directory.
 *
 * In an initrd that directory usually lies on /run, a tmpfs of a fifth of the RAM. Where more may be needed, the tmpfs
 * is given the right to all RAM but a reserve, for as long as the transfer takes; afterwards it is as large as before,
 * and by the object larger. (A second tmpfs on the directory would hide what lies there already, would need to be found
 * again and unmounted after a crash, and could not be unmounted cleanly at shutdown. The limit of a tmpfs costs nothing,
 * two transfers that enlarge it come to the same size, and nothing is left behind by a crash but the limit itself.)
 *
 * On a running host the size of a tmpfs is the administrator's decision: there, as on a disk, an object that does not
 * fit is refused.
 */
export class TargetRoom implements Disposable {
  readonly #directory: string;
  readonly #tree: boolean;
  /** Holds the shared lock of those who need the room of this tmpfs. */
  #lock: number | undefined;
  #enlarged: { readonly from: FileSystem; settled: boolean } | undefined;

  /**
   * @param directory where the object is to lie; looked at when it is asked about
   * @param tree whether it is a directory tree, which needs inodes
   */
  constructor(directory: string, tree: boolean) {
    this.#directory = directory;
    this.#tree = tree;
  }

  /** Bytes for which there is room, be it by making it. */
  available(): number {
    return this.#availableOn(inspectFileSystem(this.#directory));
  }

  /**
   * Makes room for the object, or refuses it. Once more, when it is known better what it takes.
   *
   * @param overcommit begin although it seems too large
   * @throws RdpullError no-room
   */
  async make(expected: RoomNeed, overcommit: boolean): Promise<void> {
    const found = inspectFileSystem(this.#directory);
    if (expected.occupied > this.#availableOn(found) && !overcommit) throw this.#refusal(expected, found);
    if (!canEnlarge(found)) return;
    await this.#share(found.mountPoint);
    // As it is now that nobody can take it away any more.
    const fileSystem = inspectFileSystem(this.#directory);
    const { used, usedInodes, total, inodes } = fileSystem;
    const wanted = {
      size: pages(Math.max(total, used + this.#spareMemory())),
      inodes: this.#tree ? Math.max(inodes, usedInodes + spareInodes()) : inodes,
    };
    // What is known to need little leaves the file system alone: half of what is free stays free for others.
    const little = !this.#tree && expected.exact && expected.uncompressed <= fileSystem.free / 2;
    if (little || (wanted.size <= total && wanted.inodes <= inodes)) return;
    try {
      limitTmpfs(fileSystem.mountPoint, limitsOf(wanted));
      this.#enlarged ??= { from: fileSystem, settled: false };
    } catch (error) {
      if (!isSystemError(error, 'EPERM', 'EINVAL', 'ENOSYS')) throw error;
      if (expected.occupied > fileSystem.free && !overcommit) throw this.#refusal(expected, fileSystem);
    }
  }

  /** The object is complete: gives back what it did not need. Bytes, and members of a tree. */
  settle({ bytes, entries }: { readonly bytes: number; readonly entries: number }): void {
    if (this.#enlarged === undefined) return;
    const { mountPoint, total, inodes } = this.#enlarged.from;
    this.#enlarged.settled = true;
    this.#shrink(mountPoint, { size: pages(total + bytes), inodes: inodes + entries });
  }

  /** Without {@link settle}, the object is gone: makes the file system what it was. */
  [Symbol.dispose](): void {
    if (this.#enlarged?.settled === false) {
      const { mountPoint, total, inodes } = this.#enlarged.from;
      this.#shrink(mountPoint, { size: total, inodes });
    }
    if (this.#lock !== undefined) fs.closeSync(this.#lock);
    this.#lock = undefined;
  }

  /** Only the last transfer on a file system makes it smaller; for it, others are still using the room. */
  #shrink(mountPoint: string, limits: { readonly size: number; readonly inodes: number }): void {
    if (this.#lock === undefined || !tryLockFile(this.#lock)) return;
    try {
      // Not the directory, which may be gone with the object.
      const { total, inodes } = inspectFileSystem(mountPoint);
      const least = { size: Math.min(limits.size, total), inodes: Math.min(limits.inodes, inodes) };
      if (least.size < total || least.inodes < inodes) limitTmpfs(mountPoint, limitsOf(least));
    } catch (error) {
      // It has been filled by others meanwhile, and has to stay as it is.
      if (!isSystemError(error, 'EINVAL', 'ENOENT')) throw error;
    }
  }

  async #share(mountPoint: string): Promise<void> {
    this.#lock ??= fs.openSync(mountPoint, 'r');
    const deadline = performance.now() + LOCK_PATIENCE;
    while (!tryShareFile(this.#lock) && performance.now() < deadline) await Bun.sleep(5);
  }

  #availableOn(fileSystem: FileSystem): number {
    const { kind, free } = fileSystem;
    if (kind === 'disk') return free;
    if (free === Number.POSITIVE_INFINITY) return this.#spareMemory();
    // What lies in RAM cannot hold more than RAM does, whatever its limit says.
    const now = Math.min(free, availableMemory() ?? free);
    return isBounded(fileSystem) ? now : Math.max(now, this.#spareMemory());
  }

  /** RAM that the bytes of this object may take where no limit is in the way. */
  #spareMemory(): number {
    return roomInMemory(availableMemory() ?? 0, this.#tree);
  }

  /** What keeps the file system from taking more. */
  #limitedBy(fileSystem: FileSystem): 'disk' | 'tmpfs' | 'memory' {
    const { kind, free } = fileSystem;
    if (kind === 'disk') return 'disk';
    return isBounded(fileSystem) && this.#availableOn(fileSystem) === free ? 'tmpfs' : 'memory';
  }

  #refusal(expected: RoomNeed, fileSystem: FileSystem): RdpullError {
    const { mountPoint, total, free, used } = fileSystem;
    const what = described(expected);
    const where = printable(this.#directory);
    const anyway = 'if the image is mostly holes, --overcommit begins all the same';
    const elsewhere = 'name a directory on a disk with --image-root=DIR';
    switch (this.#limitedBy(fileSystem)) {
      case 'memory': {
        const room = `RAM for ${size(this.#availableOn(fileSystem))}, ${size(availableMemory() ?? 0)} being available`;
        const reserve = isBounded(fileSystem) ? '' : ` of which the system keeps ${size(RESERVE_BYTES)}`;
        return new RdpullError(
          'no-room',
          `${what}, and this machine has ${room}${reserve}`,
          `give the machine more RAM, make the image smaller, or ${elsewhere}; ${anyway}`,
        );
      }
      case 'tmpfs': {
        const enlarged = Math.ceil((used + expected.occupied) / MIB);
        return new RdpullError(
          'no-room',
          `${what}, and the tmpfs of ${where} has room for ${size(free)} of ${size(total)}`,
          `enlarge it: mount -o remount,size=${enlarged}M ${shellWord(mountPoint)}; or ${elsewhere}; ${anyway}`,
        );
      }
      case 'disk':
        return new RdpullError(
          'no-room',
          `${what}, and the file system of ${where} has room for ${size(free)} of ${size(total)}`,
          `make room, or name a larger file system with --image-root=DIR; ${anyway}`,
        );
    }
  }
}

function described({ uncompressed, exact, occupied }: RoomNeed): string {
  if (uncompressed === 0) {
    return `the image needs ${size(occupied)} or more (its format does not say how much it is after decompression)`;
  }
  const holes = occupied < uncompressed ? `, ${size(occupied)} of it data at most` : '';
  return `the image is ${exact ? '' : 'at least '}${size(uncompressed)} after decompression${holes}`;
}

/** Whether a file system in RAM has a limit that this process does not change. */
function isBounded(fileSystem: FileSystem): boolean {
  return fileSystem.total !== Number.POSITIVE_INFINITY && !canEnlarge(fileSystem);
}

/** Whether this process may decide how large the file system is. */
function canEnlarge({ kind, total }: FileSystem): boolean {
  return kind === 'tmpfs' && total !== Number.POSITIVE_INFINITY && process.geteuid?.() === 0 && inInitrd();
}

/**
 * Bytes of an object for which an initrd makes room.
 *
 * @param available RAM that is not taken otherwise, in bytes
 * @param tree whether the object is a directory tree
 */
export function roomInMemory(available: number, tree: boolean): number {
  return spareMemory(available) * (tree ? 1 - INODE_SHARE : 1);
}

/** RAM that images may take, in bytes. */
function spareMemory(available: number): number {
  return Math.max(0, available - RESERVE_BYTES);
}

function spareInodes(): number {
  return Math.floor((spareMemory(availableMemory() ?? 0) * INODE_SHARE) / BYTES_PER_INODE);
}

function pages(bytes: number): number {
  return Math.ceil(bytes / 4096) * 4096;
}

/** A file system without a number of inodes cannot be given one. */
function limitsOf({ size, inodes }: { readonly size: number; readonly inodes: number }) {
  return Number.isFinite(inodes) ? { size, inodes } : { size };
}
