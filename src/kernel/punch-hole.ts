import { checked, libc } from './libc.ts';
import { isSystemError } from './system-error.ts';

/** linux/falloc.h */
const FALLOC_FL_KEEP_SIZE = 0x01;
const FALLOC_FL_PUNCH_HOLE = 0x02;

let library: ReturnType<typeof open> | undefined;

function open() {
  return libc({ fallocate: { args: ['i32', 'i32', 'i64', 'i64'], returns: 'i32' } });
}

/**
 * Gives back the room that a part of a file takes: fallocate(2). It reads as zeros from now on.
 *
 * @returns false where the file system cannot do that
 * @throws SystemCallError
 */
export function punchHole(fd: number, offset: number, length: number): boolean {
  library ??= open();
  try {
    checked('fallocate', library.fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length));
    return true;
  } catch (error) {
    if (isSystemError(error, 'EOPNOTSUPP', 'ENOSYS')) return false;
    throw error;
  }
}
