import { setTimeout as sleep } from 'node:timers/promises';
import { checked, libc } from './libc.ts';
import { isSystemError } from './system-error.ts';

/**
 * flock(2): a lock on an open file description, gone when its last descriptor is closed. udev, systemd and
 * util-linux use them on whole block devices (https://systemd.io/BLOCK_DEVICE_LOCKING) and on /dev/loop-control.
 */
const LOCK_EX = 2;
const LOCK_NB = 4;

const { flock } = libc({ flock: { args: ['i32', 'i32'], returns: 'i32' } });

/** Takes the exclusive lock if nobody is in the way. */
export function tryLockFile(fd: number): boolean {
  try {
    checked('flock', flock(fd, LOCK_EX | LOCK_NB));
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
