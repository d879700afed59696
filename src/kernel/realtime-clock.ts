import { checked, libc } from './libc.ts';

/** include/uapi/linux/time.h */
const CLOCK_REALTIME = 0;

const { clock_settime } = libc({ clock_settime: { args: ['i32', 'ptr'], returns: 'i32' } });

/**
 * Sets the clock of the machine, to the second (clock_settime(2)).
 *
 * @throws SystemCallError `EPERM` without CAP_SYS_TIME
 */
export function setRealtimeClock(time: Date): void {
  // struct timespec: tv_sec, tv_nsec
  const timespec = BigInt64Array.of(BigInt(Math.floor(time.getTime() / 1000)), 0n);
  checked('clock_settime', clock_settime(CLOCK_REALTIME, timespec));
}
