import fs from 'node:fs';
import { checked, cString, libc } from './libc.ts';

/** `f_type` of statfs(2), include/uapi/linux/magic.h: file systems that lie in RAM. */
export const TMPFS_MAGIC = 0x01021994;
export const RAMFS_MAGIC = 0x858458f6;

/** asm-generic/unistd.h: since Linux 5.2 the same numbers on every architecture. */
const SYS_fsconfig = 431n;
const SYS_fspick = 433n;

/** include/uapi/linux/mount.h and fcntl.h */
const FSPICK_CLOEXEC = 1;
const FSCONFIG_SET_STRING = 1;
const FSCONFIG_CMD_RECONFIGURE = 7;
const AT_FDCWD = -100;

/** Opened by who changes limits: what kind of file system it is, every transfer asks. */
const openCalls = () => ({
  fspick: libc({ syscall: { args: ['i64', 'i32', 'ptr', 'u32'], returns: 'i64' } }).syscall,
  fsconfig: libc({ syscall: { args: ['i64', 'i32', 'u32', 'ptr', 'ptr', 'i32'], returns: 'i64' } }).syscall,
});

type Calls = ReturnType<typeof openCalls>;

/** How much a tmpfs may hold: bytes, and files with directories (tmpfs(5)). */
export interface TmpfsLimits {
  readonly size: number;
  /** absent: as many as before */
  readonly inodes?: number;
}

/**
 * Changes the limits of the tmpfs that is mounted on `mountPoint`, whoever has it mounted where: they belong to the
 * file system. Its other options, and the flags of its mounts, stay as they are (which `mount -o remount` would not
 * promise). Its limits need not be whole pages.
 *
 * @throws SystemCallError `EPERM`, or `EINVAL` when it holds more than that already, or has no limit to change
 */
export function limitTmpfs(mountPoint: string, { size, inodes }: TmpfsLimits): void {
  const calls = openCalls();
  const fd = checked('fspick', calls.fspick(SYS_fspick, AT_FDCWD, cString(mountPoint), FSPICK_CLOEXEC));
  try {
    setOption(calls, fd, 'size', size);
    if (inodes !== undefined) setOption(calls, fd, 'nr_inodes', inodes);
    checked('fsconfig', calls.fsconfig(SYS_fsconfig, fd, FSCONFIG_CMD_RECONFIGURE, null, null, 0));
  } finally {
    fs.closeSync(fd);
  }
}

function setOption({ fsconfig }: Calls, fd: number, name: string, value: number): void {
  const [key, text] = [cString(name), cString(String(value))];
  checked('fsconfig', fsconfig(SYS_fsconfig, fd, FSCONFIG_SET_STRING, key, text, 0));
}
