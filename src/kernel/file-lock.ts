import { setTimeout as sleep } from 'node:timers/promises';
import { checked, libc } from './libc.ts';
import { isSystemError } from './system-error.ts';

/**
 * flock(2): a lock on an open file description, gone when its last descriptor is closed. udev, systemd and
 * util-linux use them on whole block devices (https://systemd.io/BLOCK_DEVICE_LOCKING) and on /dev/loop-control.
 */
const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;

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
  try {
    checked('flock', flock(fd, operation | LOCK_NB));
    return true;
  } catch (error) {
    if (isSystemError(error, 'EWOULDBLOCK', 'EAGAIN')) return false;
    throw error;
  }
}

/**
 * Takes the exclusive lock, waiting for it up to `timeout` milliseconds; `false` when that was not enough. It asks
 * again and again rather than blocking, so that the process stays responsive and cannot dead-lock against itself.
 */
export async function lockFile(fd: number, timeout: number): Promise<boolean> {
  const deadline = performance.now() + timeout;
  while (!tryLockFile(fd)) {
    if (performance.now() >= deadline) return false;
    await sleep(1 + Math.random() * 20);
  }
  return true;
}
