import { checked, libc } from './libc.ts';
import { isSystemError } from './system-error.ts';

let library: ReturnType<typeof open> | undefined;

function open() {
  return libc({ fallocate: { args: ['i32', 'i32', 'i64', 'i64'], returns: 'i32' } });
}

/**
 * Takes the room for a part of a file that is long enough: fallocate(2). What is written there afterwards does not fail for want of it.
 *
 * @returns false where the file system cannot do that
 * @throws SystemCallError ENOSPC
 */
export function reserveRoom(fd: number, offset: number, length: number): boolean {
  library ??= open();
  try {
    checked('fallocate', library.fallocate(fd, 0, offset, length));
    return true;
  } catch (error) {
    if (isSystemError(error, 'EOPNOTSUPP', 'ENOSYS')) return false;
    throw error;
  }
}
