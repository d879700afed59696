import { type Pointer, ptr } from 'bun:ffi';
import fs from 'node:fs';
import os from 'node:os';
import { checked, cString, libc } from './libc.ts';
import { XATTR_LIST_MAX } from './name-limits.ts';
import { isSystemError, SystemCallError } from './system-error.ts';

/**
 * The calls that build a directory tree by descriptor and one name at a time, never by a path: no call of this file
 * follows a symbolic link, whatever the tree holds by then, and whoever else changes it meanwhile. A walk by
 * {@link openPlaceAt} stays below its start as {@link openPlaceBelow} does, on every kernel and under every seccomp
 * filter.
 */
const c = libc({
  openat: { args: ['i32', 'ptr', 'i32', 'u32'], returns: 'i32' },
  // A descriptor or -1, of which the lower half is enough.
  syscall: { args: ['i64', 'i32', 'ptr', 'ptr', 'u64'], returns: 'i32' },
  mkdirat: { args: ['i32', 'ptr', 'u32'], returns: 'i32' },
  mknodat: { args: ['i32', 'ptr', 'u32', 'u64'], returns: 'i32' },
  symlinkat: { args: ['ptr', 'i32', 'ptr'], returns: 'i32' },
  linkat: { args: ['i32', 'ptr', 'i32', 'ptr', 'i32'], returns: 'i32' },
  readlinkat: { args: ['i32', 'ptr', 'ptr', 'u64'], returns: 'i64' },
  unlinkat: { args: ['i32', 'ptr', 'i32'], returns: 'i32' },
  statx: { args: ['i32', 'ptr', 'i32', 'u32', 'ptr'], returns: 'i32' },
  fchownat: { args: ['i32', 'ptr', 'u32', 'u32', 'i32'], returns: 'i32' },
  chmod: { args: ['ptr', 'u32'], returns: 'i32' },
  close: { args: ['i32'], returns: 'i32' },
  futimens: { args: ['i32', 'ptr'], returns: 'i32' },
  utimensat: { args: ['i32', 'ptr', 'ptr', 'i32'], returns: 'i32' },
  fsetxattr: { args: ['i32', 'ptr', 'ptr', 'u64', 'i32'], returns: 'i32' },
  lsetxattr: { args: ['ptr', 'ptr', 'ptr', 'u64', 'i32'], returns: 'i32' },
  fremovexattr: { args: ['i32', 'ptr'], returns: 'i32' },
  fgetxattr: { args: ['i32', 'ptr', 'ptr', 'u64'], returns: 'i64' },
  flistxattr: { args: ['i32', 'ptr', 'u64'], returns: 'i64' },
  syncfs: { args: ['i32'], returns: 'i32' },
});

/** S_IFMT's values, linux/stat.h. */
export const S_IFIFO = 0o010000;
export const S_IFCHR = 0o020000;
export const S_IFDIR = 0o040000;
export const S_IFBLK = 0o060000;
export const S_IFREG = 0o100000;
export const S_IFLNK = 0o120000;
const S_IFMT = 0o170000;

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = fs.constants;
/** asm-generic/fcntl.h; the same on x86-64 and arm64, unlike O_DIRECTORY and O_NOFOLLOW. */
const O_CLOEXEC = 0o2000000;
const O_PATH = 0o10000000;

/** With what each kind is opened. */
const DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
const PLACE = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
const NEW_FILE = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC;

/** linux/fcntl.h */
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_REMOVEDIR = 0x200;
const AT_EMPTY_PATH = 0x1000;

/** A NUL-terminated file name (one component) in memory that the kernel reads in place. */
export type Name = Pointer;

/** Memory for names, at an address that stays put: refilled for every member of an archive, without allocation. */
export class NameBuffer {
  /** What the names are written into. The last byte is never touched and stays NUL. */
  readonly bytes: Buffer;
  readonly #memory: Buffer;
  readonly #address: number;

  constructor(size: number) {
    this.#memory = Buffer.from(new ArrayBuffer(size + 1));
    this.bytes = this.#memory.subarray(0, size);
    this.#address = ptr(this.#memory);
  }

  /** The name that begins at `offset` and ends at the next NUL. */
  name(offset: number): Name {
    if (offset < 0 || offset > this.bytes.length) throw new RangeError(`no name at ${offset}`);
    return (this.#address + offset) as Name;
  }
}

/** Opens a directory for reading and for the attribute calls below. */
export function openDirectoryAt(directory: number, name: Name): number {
  return checked('openat', c.openat(directory, name, DIRECTORY, 0));
}

/** Opens a directory only as a place to name things in (O_PATH): needs no permission on the directory itself. */
export function openPlaceAt(directory: number, name: Name): number {
  return checked('openat', c.openat(directory, name, PLACE, 0));
}

/** asm-generic/unistd.h; the same on every architecture. glibc has no function for it before 2.43. */
const SYS_openat2 = 437;
/**
 * struct open_how, linux/openat2.h: flags, mode and resolve, of 64 bits each, whose lower halves are enough. In a buffer of its own: a small
 * typed array without one is moved when the optimizing compiler gets to it, and at its former address the kernel finds zeros: follow every link.
 */
const openHow = Buffer.from(new ArrayBuffer(24));
const openHowAddress = ptr(openHow);
const OPEN_HOW_MODE = 8;
const OPEN_HOW_RESOLVE = 16;
const RESOLVE_NO_SYMLINKS = 0x04;
const RESOLVE_BENEATH = 0x08;
openHow.writeUInt32LE(RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH, OPEN_HOW_RESOLVE);

/**
 * Opens what is several names further down in one call (openat2(2), Linux 5.6), with what {@link openPlaceAt} would have to open one
 * after the other on the way. Returns undefined when that is not possible, for whatever reason: only a walk tells which, and a
 * kernel or a seccomp filter may not know the call.
 */
function openBelow(directory: number, path: Name, flags: number, mode: number): number | undefined {
  openHow.writeUInt32LE(flags, 0);
  openHow.writeUInt32LE(mode, OPEN_HOW_MODE);
  const fd = c.syscall(SYS_openat2, directory, path, openHowAddress, openHow.length);
  return fd < 0 ? undefined : fd;
}

/**
 * As {@link openPlaceAt}, several names further down; undefined as of {@link openBelow}.
 *
 * @param path names with a slash between them
 */
export function openPlaceBelow(directory: number, path: Name): number | undefined {
  return openBelow(directory, path, PLACE, 0);
}

/** As {@link openDirectoryAt}, several names further down; undefined as of {@link openBelow}. */
export function openDirectoryBelow(directory: number, path: Name): number | undefined {
  return openBelow(directory, path, DIRECTORY, 0);
}

/** As {@link createFileAt}, several names further down; undefined as of {@link openBelow}, and when something has that name. */
export function createFileBelow(directory: number, path: Name, mode: number): number | undefined {
  return openBelow(directory, path, NEW_FILE, mode);
}

/** Creates a regular file, of which the umask takes its bits, and opens it for writing. */
export function createFileAt(directory: number, name: Name, mode: number): number {
  return checked('openat', c.openat(directory, name, NEW_FILE, mode));
}

/** Opens a file for reading. Does not wait, should it be a fifo by now. */
export function openFileAt(directory: number, name: Name): number {
  const flags = O_RDONLY | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK | O_CLOEXEC;
  return checked('openat', c.openat(directory, name, flags, 0));
}

/** Creates a directory that only its owner may enter. */
export function makeDirectoryAt(directory: number, name: Name): void {
  checked('mkdirat', c.mkdirat(directory, name, 0o700));
}

/** Creates a fifo or a device node, mode 0600. `major` is below 4096 and `minor` below 2^20, as in the kernel. */
export function makeNodeAt(directory: number, name: Name, type: number, major: number, minor: number): void {
  checked('mknodat', c.mknodat(directory, name, type | 0o600, makedev(major, minor)));
}

export function makeSymbolicLinkAt(target: Name, directory: number, name: Name): void {
  checked('symlinkat', c.symlinkat(target, directory, name));
}

/** Makes `name` in `directory` a hard link to `targetName` in `target`, even when that is a symbolic link. */
export function makeHardLinkAt(target: number, targetName: Name, directory: number, name: Name): void {
  checked('linkat', c.linkat(target, targetName, directory, name, 0));
}

/** Longer targets cannot be made (PATH_MAX, linux/limits.h). */
const linkTarget = Buffer.from(new ArrayBuffer(4096));
const linkTargetAddress = ptr(linkTarget);

/** Where the symbolic link `name` itself points to: bytes that are good until the next call. */
export function readLinkAt(directory: number, name: Name): Uint8Array {
  const length = checked('readlinkat', c.readlinkat(directory, name, linkTargetAddress, linkTarget.length));
  return linkTarget.subarray(0, length);
}

/** Removes a name that is not a directory. */
export function unlinkAt(directory: number, name: Name): void {
  checked('unlinkat', c.unlinkat(directory, name, 0));
}

/** Removes an empty directory. */
export function removeDirectoryAt(directory: number, name: Name): void {
  checked('unlinkat', c.unlinkat(directory, name, AT_REMOVEDIR));
}

/** struct statx, linux/stat.h: the one stat structure that is the same on every architecture. */
const statxBuffer = Buffer.from(new ArrayBuffer(256));
const statxAddress = ptr(statxBuffer);
const STATX_TYPE = 0x001;
const STX_MODE = 28;
/** With AT_EMPTY_PATH: the descriptor itself. */
const NO_NAME = new NameBuffer(0);

/** What `name` itself is, not what it may point to: one of the S_IF constants. */
export function fileTypeAt(directory: number, name: Name): number {
  const flags = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH;
  checked('statx', c.statx(directory, name, flags, STATX_TYPE, statxAddress));
  return statxBuffer.readUInt16LE(STX_MODE) & S_IFMT;
}

/** Changes the owner of `name` itself. */
export function changeOwnerAt(directory: number, name: Name, uid: number, gid: number): void {
  checked('fchownat', c.fchownat(directory, name, uid, gid, AT_SYMLINK_NOFOLLOW));
}

/**
 * Sets the mode of `name` itself, which may be a device and so cannot be opened. Needs /proc: fchmodat(2) has no flag
 * against symbolic links before Linux 6.6 (fchmodat2), and no descriptor of O_PATH is good for fchmod(2).
 *
 * @throws SystemCallError `ELOOP` when it is a symbolic link, which has no mode
 */
export function changeModeAt(directory: number, name: Name, mode: number): void {
  const fd = checked('openat', c.openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0));
  try {
    if (fileTypeAt(fd, NO_NAME.name(0)) === S_IFLNK)
      throw new SystemCallError('chmod', os.constants.errno.ELOOP);
    const path = cString(`/proc/self/fd/${fd}`);
    checked('chmod', c.chmod(path, mode));
  } finally {
    c.close(fd);
  }
}

/** struct timespec[2]: access time, which is left alone, and modification time. */
const times = Buffer.from(new ArrayBuffer(32));
const timesAddress = ptr(times);
const UTIME_OMIT = 0x3ffffffe; // linux/stat.h
times.writeUInt32LE(UTIME_OMIT, 8);

function setTimes(seconds: number, nanoseconds: number): Pointer {
  times.writeUInt32LE(seconds >>> 0, 16);
  times.writeInt32LE(Math.floor(seconds / 2 ** 32), 20);
  times.writeUInt32LE(nanoseconds, 24);
  return timesAddress;
}

/** Sets the modification time of an open file. `seconds` since the epoch may be negative, and is a safe integer. */
export function changeTime(fd: number, seconds: number, nanoseconds: number): void {
  checked('futimens', c.futimens(fd, setTimes(seconds, nanoseconds)));
}

/** Sets the modification time of `name` itself. */
export function changeTimeAt(directory: number, name: Name, seconds: number, nanoseconds: number): void {
  checked('utimensat', c.utimensat(directory, name, setTimes(seconds, nanoseconds), AT_SYMLINK_NOFOLLOW));
}

/** Sets an extended attribute of an open file. `name` holds one character per byte (latin1), `value` any bytes. */
export function setAttribute(fd: number, name: string, value: Uint8Array): void {
  const attribute = cString(Buffer.from(name, 'latin1'));
  checked('fsetxattr', c.fsetxattr(fd, attribute, valueAddress(value), value.length, 0));
}

/**
 * Sets an extended attribute of `name` itself, which may be a device or a symbolic link and so cannot be opened.
 * Needs /proc: setxattrat(2) came with Linux 6.13 only.
 */
export function setAttributeAt(
  directory: number,
  name: Uint8Array,
  attribute: string,
  value: Uint8Array,
): void {
  const path = cString(Buffer.concat([Buffer.from(`/proc/self/fd/${directory}/`), name]));
  const attributeName = cString(Buffer.from(attribute, 'latin1'));
  checked('lsetxattr', c.lsetxattr(path, attributeName, valueAddress(value), value.length, 0));
}

/** Removes an extended attribute of an open file. */
export function removeAttribute(fd: number, name: string): void {
  checked('fremovexattr', c.fremovexattr(fd, cString(name)));
}

/** The extended attribute of an open file; undefined when it has none of this name. */
export function attributeOf(fd: number, name: string): Uint8Array | undefined {
  const attribute = cString(name);
  try {
    const value = new Uint8Array(checked('fgetxattr', c.fgetxattr(fd, attribute, null, 0)));
    checked('fgetxattr', c.fgetxattr(fd, attribute, valueAddress(value), value.length));
    return value;
  } catch (error) {
    if (isSystemError(error, 'ENODATA', 'ENOTSUP', 'EOPNOTSUPP')) return undefined;
    throw error;
  }
}

/** The names of all extended attributes of an open file, a character per byte (latin1). */
export function attributeNames(fd: number): string[] {
  const some = Buffer.alloc(1024);
  try {
    return namesIn(fd, some);
  } catch (error) {
    if (isSystemError(error, 'ENOTSUP', 'EOPNOTSUPP')) return [];
    if (!isSystemError(error, 'ERANGE')) throw error;
    return namesIn(fd, Buffer.alloc(XATTR_LIST_MAX));
  }
}

function namesIn(fd: number, list: Buffer): string[] {
  const length = checked('flistxattr', c.flistxattr(fd, ptr(list), list.length));
  return list.toString('latin1', 0, length).split('\0').slice(0, -1);
}

/** Writes out everything that the file system of `fd` still holds in memory. */
export function syncFileSystem(fd: number): void {
  checked('syncfs', c.syncfs(fd));
}

/** bun:ffi has no address for empty memory; of an empty value the kernel reads nothing, so any address will do. */
function valueAddress(value: Uint8Array): Pointer {
  return value.length === 0 ? timesAddress : ptr(value);
}

/** makedev(3) for the kernel's own range of numbers. */
function makedev(major: number, minor: number): number {
  return ((minor & 0xfff00) * 2 ** 12 + (major << 8) + (minor & 0xff)) >>> 0;
}
