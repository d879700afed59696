import fs from 'node:fs';
import path from 'node:path';
import { printable } from '../../console/printable.ts';
import { size } from '../../console/quantity.ts';
import { RdpullError, reasonOf } from '../../console/rdpull-error.ts';
import { isSystemError } from '../../kernel/system-error.ts';

/**
 * What a failed write means, for a person, with the figures of the file system.
 *
 * @param target the file or directory that was written to
 * @param written bytes written to it so far
 */
export function storageError(target: string, written: number, error: unknown): RdpullError {
  if (error instanceof RdpullError) return error;
  const directory = path.dirname(target);
  const where = printable(directory);
  if (isSystemError(error, 'ENOSPC', 'EDQUOT')) {
    return new RdpullError('disk-full', fullMessage(directory, written), fullHint(directory), {
      cause: error,
    });
  }
  if (isSystemError(error, 'EROFS', 'EACCES', 'EPERM')) {
    return new RdpullError(
      'target-unwritable',
      `${where} cannot be written to: ${error.code === 'EROFS' ? 'the file system is read-only' : 'permission denied'}`,
      'choose another directory with --image-root=DIR, or run rdpull as root',
      { cause: error },
    );
  }
  const reason = reasonOf(error);
  return new RdpullError(
    'storage-failed',
    `writing below ${where} failed after ${size(written)}: ${reason}`,
    'look at the kernel log (dmesg) for errors of the disk',
    { cause: error },
  );
}

function fullMessage(directory: string, written: number): string {
  const where = printable(directory);
  try {
    const stat = fs.statfsSync(directory);
    const total = stat.blocks * stat.bsize;
    if (stat.files > 0 && stat.ffree === 0) {
      return `the file system of ${where} has no inodes left (it has ${stat.files}); ${size(written)} were written`;
    }
    return `the file system of ${where} is full: ${size(written)} of the image were written, and it holds ${size(total)} in all`;
  } catch {
    return `the file system of ${where} is full: ${size(written)} of the image were written`;
  }
}

function fullHint(directory: string): string {
  return directory.startsWith('/run')
    ? 'give the machine more RAM (/run is a fifth of it), or name a larger file system with --image-root=DIR'
    : 'make room, or name a larger file system with --image-root=DIR';
}
