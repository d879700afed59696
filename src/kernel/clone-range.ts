import { ptr } from 'bun:ffi';
import { checked, libc } from './libc.ts';
import { isSystemError } from './system-error.ts';

/** linux/fs.h */
const FICLONERANGE = 0x4020940dn;

let library: ReturnType<typeof open> | undefined;

function open() {
  return libc({ ioctl: { args: ['i32', 'u64', 'ptr'], returns: 'i32' } });
}

/**
 * Lets a part of a file share its blocks with another file, until one of them is written to: ioctl_ficlonerange(2).
 *
 * @param offset of the source, in bytes; as `length` and `targetOffset` a multiple of the file system's block
 * @returns false where their file systems cannot do that
 * @throws SystemCallError
 */
export function cloneRange(
  source: number,
  offset: number,
  length: number,
  target: number,
  targetOffset: number,
): boolean {
  library ??= open();
  // struct file_clone_range: src_fd, src_offset, src_length, dest_offset, of 64 bits each.
  const range = BigInt64Array.of(BigInt(source), BigInt(offset), BigInt(length), BigInt(targetOffset));
  try {
    checked('ioctl(FICLONERANGE)', library.ioctl(target, FICLONERANGE, ptr(range)));
    return true;
  } catch (error) {
    if (isSystemError(error, 'EOPNOTSUPP', 'ENOTSUP', 'ENOTTY', 'EXDEV', 'EINVAL', 'EPERM', 'ETXTBSY'))
      return false;
    throw error;
  }
}
