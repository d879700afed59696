import { printable } from '../../console/printable.ts';
import { size } from '../../console/quantity.ts';
import { RdpullError, reasonOf } from '../../console/rdpull-error.ts';
import { shellWord } from '../../console/shell-command.ts';
import { obstacleTo } from '../../kernel/path-lookup.ts';
import { isSystemError } from '../../kernel/system-error.ts';
import { type FileSystem, inspectFileSystem } from '../room/file-system.ts';
import { namedDirectory } from '../staging-directory.ts';

const MIB = 1024 * 1024;

/**
 * What a failed write means, for a person, with the figures of the file system.
 *
 * @param target the file or directory that was written to
 * @param written bytes written to it so far
 */
export function storageError(target: string, written: number, error: unknown): RdpullError {
  if (error instanceof RdpullError) return error;
  const directory = namedDirectory(target);
  const where = printable(directory);
  const soFar = `${size(written)} of the image were written`;
  if (isSystemError(error, 'ENOSPC')) {
    const { message, hint } = full(where, soFar, inspected(directory));
    return new RdpullError('disk-full', message, hint, { cause: error });
  }
  if (isSystemError(error, 'EDQUOT')) {
    return new RdpullError(
      'disk-full',
      `the quota on the file system of ${where} is used up: ${soFar}`,
      'raise the quota (edquota, xfs_quota, btrfs qgroup), or name another file system with --image-root=DIR',
      { cause: error },
    );
  }
  if (isSystemError(error, 'EFBIG')) {
    return new RdpullError(
      'disk-full',
      `a file below ${where} cannot become larger: ${soFar}, and its file system (or ulimit -f) allows no more in one file`,
      'name a directory on ext4, xfs or btrfs with --image-root=DIR',
      { cause: error },
    );
  }
  if (isSystemError(error, 'EROFS', 'EACCES', 'EPERM')) {
    return new RdpullError(
      'target-unwritable',
      `${where} cannot be written to: ${error.code === 'EROFS' ? 'the file system is read-only' : 'permission denied'}`,
      error.code === 'EROFS'
        ? 'choose another directory with --image-root=DIR; if it became read-only by itself, dmesg says why'
        : 'choose another directory with --image-root=DIR, or run rdpull as root',
      { cause: error },
    );
  }
  const obstacle = isSystemError(error, 'EEXIST', 'ENOTDIR') ? obstacleTo(directory) : undefined;
  if (obstacle !== undefined) return noDirectory(directory, obstacle, error);
  const reason = isSystemError(error, 'EIO') ? 'the disk reports an error (EIO)' : reasonOf(error);
  return new RdpullError(
    'storage-failed',
    `writing below ${where} failed${written === 0 ? '' : ` after ${size(written)}`}: ${reason}`,
    'look at the kernel log (dmesg) for errors of the disk',
    { cause: error },
  );
}

/**
 * Finds out whether there is, or can be, a directory of this name.
 *
 * @throws RdpullError target-unwritable
 */
export function requireDirectoryPlace(directory: string): void {
  const obstacle = obstacleTo(directory);
  if (obstacle !== undefined) throw noDirectory(directory, obstacle);
}

function noDirectory(directory: string, obstacle: string, cause?: unknown): RdpullError {
  const what = `${printable(obstacle)} is not a directory`;
  return new RdpullError(
    'target-unwritable',
    obstacle === directory ? what : `${printable(directory)} cannot be made: ${what}`,
    'name a directory for images with --image-root=DIR',
    { cause },
  );
}

function inspected(directory: string): FileSystem | undefined {
  try {
    return inspectFileSystem(directory);
  } catch {
    return undefined;
  }
}

/** ENOSPC is said of bytes and of inodes alike. */
function full(where: string, soFar: string, fileSystem: FileSystem | undefined) {
  const elsewhere = 'name a larger file system with --image-root=DIR';
  if (fileSystem === undefined) {
    return { message: `the file system of ${where} is full: ${soFar}`, hint: `make room, or ${elsewhere}` };
  }
  const { kind, total, free, inodes, usedInodes, mountPoint } = fileSystem;
  if (usedInodes >= inodes) {
    return {
      message: `the file system of ${where} has no inodes left (it has ${inodes}), and each file or directory takes one; ${soFar}`,
      hint:
        kind === 'tmpfs'
          ? `give it more: mount -o remount,nr_inodes=${inodes * 2} ${shellWord(mountPoint)}; or ${elsewhere}`
          : 'remove files, or name a file system with more inodes (mkfs.ext4 -N NUMBER; btrfs and xfs need none set aside)',
    };
  }
  if (free >= MIB) {
    return {
      message: `the file system of ${where} reports that it is full, although ${size(free)} of ${size(total)} are free`,
      hint: `look for a quota, and at what lies below it: a thin volume, or a file behind a loop device; or ${elsewhere}`,
    };
  }
  return {
    message: `the file system of ${where} is full: ${soFar}, and it holds ${size(total)} in all`,
    hint:
      kind === 'tmpfs'
        ? 'it lies in RAM: give the machine more, make the image smaller, or name a directory on a disk with --image-root=DIR'
        : `make room, or ${elsewhere}`,
  };
}
