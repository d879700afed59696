import fs from 'node:fs';
import { printable } from '../console/printable.ts';
import { RdpullError, reasonOf } from '../console/rdpull-error.ts';
import { isSystemError } from '../kernel/system-error.ts';

/** An image, open for the kernel to take over. */
export interface ImageFile {
  readonly fd: number;
  /** Whether it could only, or should only, be opened for reading. */
  readonly readOnly: boolean;
}

/**
 * Opens an image, for writing unless `readOnly` or where the file system or the file's mode forbids it.
 * The caller closes `fd`.
 *
 * @throws RdpullError `file-not-found`, `file-unreadable`, `bad-argument`
 */
export function openImageFile(path: string, readOnly: boolean): ImageFile {
  // Before the open, which would hang on a FIFO.
  if (!statFile(path).isFile()) {
    throw new RdpullError(
      'bad-argument',
      `${printable(path)} is not a regular file`,
      'name the file of a raw disk image',
    );
  }
  try {
    if (readOnly) return { fd: fs.openSync(path, 'r'), readOnly };
    try {
      return { fd: fs.openSync(path, 'r+'), readOnly };
    } catch (error) {
      if (!isSystemError(error, 'EROFS', 'EACCES', 'EPERM')) throw error;
      return { fd: fs.openSync(path, 'r'), readOnly: true };
    }
  } catch (error) {
    throw unreachable(path, error);
  }
}

/**
 * stat(2), links followed.
 *
 * @throws RdpullError `file-not-found`, `file-unreadable`
 */
export function statFile(path: string): fs.BigIntStats {
  try {
    return fs.statSync(path, { bigint: true });
  } catch (error) {
    throw unreachable(path, error);
  }
}

/** A path as the kernel has it of an open file: without symbolic links. One that leads nowhere stays as it is. */
export function realPath(path: string): string {
  try {
    return fs.realpathSync(path);
  } catch {
    return path;
  }
}

function unreachable(path: string, error: unknown): RdpullError {
  if (isSystemError(error, 'ENOENT', 'ENOTDIR')) {
    return new RdpullError('file-not-found', `${printable(path)} does not exist`, 'check the path', {
      cause: error,
    });
  }
  return new RdpullError(
    'file-unreadable',
    `${printable(path)} cannot be opened: ${reasonOf(error)}`,
    'check the permissions of the file and of the directories above it',
    { cause: error },
  );
}
