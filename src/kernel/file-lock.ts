import fs from 'node:fs';
import { errno, libc } from './libc.ts';
import { SystemCallError } from './system-error.ts';

/**
 * flock(2): a lock on an open file description, gone when its last descriptor is closed. udev, systemd and
 * util-linux use them on whole block devices (https://systemd.io/BLOCK_DEVICE_LOCKING) and on /dev/loop-control.
 */
const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
/** asm-generic/errno-base.h */
const EAGAIN = 11;

const { flock } = libc({ flock: { args: ['i32', 'i32'], returns: 'i32' } });

/** Takes the exclusive lock if nobody is in the way. A shared lock that `fd` had is gone when somebody is. */
export function tryLockFile(fd: number): boolean {
  return tryLock(fd, LOCK_EX);
}

/** Takes a shared lock if nobody has the exclusive one. */
export function tryShareFile(fd: number): boolean {
  return tryLock(fd, LOCK_SH);
}

function tryLock(fd: number, operation: number): boolean {
  if (flock(fd, operation | LOCK_NB) >= 0) return true;
  // Not by an error: with each pull one lock is tried that it has itself.
  const number = errno();
  if (number === EAGAIN) return false;
  throw new SystemCallError('flock', number);
}

/**
 * Takes the exclusive lock, waiting for it up to `timeout` milliseconds; `false` when that was not enough. It asks
 * again and again rather than blocking, so that the process stays responsive and cannot dead-lock against itself.
 *
 * @throws the reason of `signal` when that is aborted meanwhile
 */
export async function lockFile(fd: number, timeout: number, signal?: AbortSignal): Promise<boolean> {
  const deadline = performance.now() + timeout;
  while (!tryLockFile(fd)) {
    if (performance.now() >= deadline) return false;
    await Bun.sleep(1 + Math.random() * 20);
    signal?.throwIfAborted();
  }
  return true;
}

/**
 * The process that holds the exclusive lock of a file, by proc_locks(5); undefined when nobody does, or nobody in this
 * PID namespace. btrfs shows other device numbers there than stat(2) does, so that there it is always undefined.
 */
export function lockHolder(fd: number): number | undefined {
  const { dev, ino } = fs.fstatSync(fd, { bigint: true });
  // makedev(3), and the kernel's "%02x:%02x:%lu"
  const major = ((dev >> 8n) & 0xfffn).toString(16).padStart(2, '0');
  const minor = ((dev & 0xffn) | ((dev >> 12n) & 0xfff00n)).toString(16).padStart(2, '0');
  const lock = new RegExp(`^\\d+: FLOCK +ADVISORY +WRITE (\\d+) ${major}:${minor}:${ino} `, 'm');
  const [, pid] = lock.exec(fs.readFileSync('/proc/locks', 'utf8')) ?? [];
  return pid === undefined ? undefined : Number(pid);
}
