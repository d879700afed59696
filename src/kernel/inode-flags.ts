import { checked, libc, retryInterrupted } from './libc.ts';

/** Flags of an inode: include/uapi/linux/fs.h. The kernel reads and writes an int, whatever the numbers say. */
const FS_IOC_GETFLAGS = 0x80086601n;
const FS_IOC_SETFLAGS = 0x40086602n;
const FS_IMMUTABLE_FL = 0x10;

const { ioctl } = libc({ ioctl: { args: ['i32', 'u64', 'ptr'], returns: 'i32' } });

/**
 * Makes a file immutable, or not, and leaves its other flags alone.
 *
 * @param fd of the file, open for reading
 * @returns whether it was immutable before
 * @throws SystemCallError ENOTTY or EOPNOTSUPP on a file system that knows no flags
 */
export function setImmutable(fd: number, immutable: boolean): boolean {
  const flags = new Int32Array(2);
  retryInterrupted(() => checked('ioctl(FS_IOC_GETFLAGS)', ioctl(fd, FS_IOC_GETFLAGS, flags)));
  const [before = 0] = flags;
  const was = (before & FS_IMMUTABLE_FL) !== 0;
  if (was === immutable) return was;
  flags[0] = immutable ? before | FS_IMMUTABLE_FL : before & ~FS_IMMUTABLE_FL;
  retryInterrupted(() => checked('ioctl(FS_IOC_SETFLAGS)', ioctl(fd, FS_IOC_SETFLAGS, flags)));
  return was;
}
