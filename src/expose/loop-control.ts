import fs from 'node:fs';
import { RdpullError } from '../console/rdpull-error.ts';
import { lockFile } from '../kernel/file-lock.ts';
import { isSystemError } from '../kernel/system-error.ts';

const LOOP_CONTROL = '/dev/loop-control';
/** makedev(MISC_MAJOR, LOOP_CTRL_MINOR): include/uapi/linux/major.h and include/linux/miscdevice.h. */
const LOOP_CONTROL_DEVICE = (10 << 8) | 237;

/** Whoever makes a loop device holds the lock for milliseconds. */
const LOCK_TIMEOUT = 30_000;

/**
 * Runs `use` with /dev/loop-control open and locked. The lock orders everybody who makes or removes loop devices and
 * cooperates (systemd does): take it before the one on a device, never the other way round.
 *
 * @throws RdpullError `not-root`, `loop-missing`, `loop-failed`, what `use` throws, and the reason of `signal` when that is aborted before
 */
export async function withLoopControl<T>(
  use: (controlFd: number) => T,
  signal: AbortSignal | undefined,
): Promise<T> {
  const controlFd = openLoopControl();
  try {
    if (!(await lockFile(controlFd, LOCK_TIMEOUT, signal))) {
      throw new RdpullError(
        'loop-failed',
        `another process has held the lock on ${LOOP_CONTROL} for ${LOCK_TIMEOUT / 1000} s`,
        `find out which one and stop it: fuser -v ${LOOP_CONTROL}`,
      );
    }
    return use(controlFd);
  } finally {
    fs.closeSync(controlFd);
  }
}

/**
 * Finds out beforehand whether loop devices can be made at all.
 *
 * @throws RdpullError `not-root`, `loop-missing`
 */
export function requireLoopControl(): void {
  fs.closeSync(openLoopControl());
}

/** The error for a caller whom the kernel denies loop devices. */
export function notRoot(action: string, cause: unknown): RdpullError {
  return new RdpullError('not-root', `${action} needs root (CAP_SYS_ADMIN)`, 'run it again as root', {
    cause,
  });
}

function openLoopControl(): number {
  let fd: number;
  try {
    fd = fs.openSync(LOOP_CONTROL, fs.constants.O_RDWR | fs.constants.O_NONBLOCK | fs.constants.O_NOCTTY);
  } catch (error) {
    if (isSystemError(error, 'EACCES', 'EPERM')) throw notRoot('attaching or detaching a loop device', error);
    if (isSystemError(error, 'ENOENT', 'ENODEV', 'ENXIO'))
      throw loopMissing(`${LOOP_CONTROL} is not there`, error);
    throw error;
  }
  // A node that a container or a sandbox has put a file or /dev/null over would only fail at the first ioctl.
  const stat = fs.fstatSync(fd);
  if (stat.isCharacterDevice() && stat.rdev === LOOP_CONTROL_DEVICE) return fd;
  fs.closeSync(fd);
  throw loopMissing(`${LOOP_CONTROL} is something else`);
}

function loopMissing(why: string, cause?: unknown): RdpullError {
  return new RdpullError(
    'loop-missing',
    `this system has no loop devices: ${why}`,
    'load the module with "modprobe loop"; an initrd must hold it: add_drivers+=" loop " for dracut, KernelModules=loop for mkosi',
    { cause },
  );
}
