import { libc } from './libc.ts';

/** linux/fs.h */
const SYNC_FILE_RANGE_WRITE = 2;

let library: ReturnType<typeof open> | undefined;

function open() {
  return libc({ sync_file_range: { args: ['i32', 'i64', 'i64', 'u32'], returns: 'i32' } });
}

/**
 * Has the kernel begin to write a file to its disk, without waiting for that: sync_file_range(2). The syncfs(2) at the end
 * has less to wait for then. Nothing depends on it, so that a failure is none (tmpfs has no disk).
 */
export function startWriteback(fd: number): void {
  library ??= open();
  // A length of 0 is "to the end".
  library.sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}
