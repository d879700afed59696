import { buildTime } from '../build-time.ts';
import type { Reporter } from '../console/reporter.ts';
import { howToSetTheClock, iso } from '../console/wrong-clock.ts';
import { isSystemError } from '../kernel/system-error.ts';
import { inInitrd } from '../request/initrd.ts';

/*
 * A clock that says a time before this executable was made is wrong, and everything that is judged by dates would be
 * judged wrongly: certificates, keys, signatures. This is the only place where that is looked at.
 */

/** Says so when the clock is known to be wrong, and how to set it. */
export function warnOfClock(reporter: Pick<Reporter, 'warn'>, now = new Date()): void {
  if (buildTime === undefined || now >= buildTime) return;
  reporter.warn(`${wrong(now)}: ${howToSetTheClock(buildTime)}`);
}

/**
 * Before a pull judges anything. In an initrd, a clock that is known to be wrong is advanced to the time of the build, as
 * systemd does it at its start, with its own build and with /usr/lib/clock-epoch. Never back, and nowhere else: there the
 * clock is somebody's.
 */
export async function advanceClock(reporter: Pick<Reporter, 'warn'>, now = new Date()): Promise<void> {
  if (buildTime === undefined || now >= buildTime) return;
  if (!inInitrd() || process.getuid?.() !== 0) return warnOfClock(reporter, now);
  // Only here, because it opens the way into libc.
  const { setRealtimeClock } = await import('../kernel/realtime-clock.ts');
  try {
    setRealtimeClock(buildTime);
  } catch (error) {
    // A container has no clock of its own.
    if (!isSystemError(error, 'EPERM')) throw error;
    return warnOfClock(reporter, now);
  }
  const clock = Math.floor(now.getTime() / 1000);
  reporter.warn(`${wrong(now)}: it was advanced to ${iso(buildTime)}`, { event: 'clock-advanced', clock });
}

function wrong(now: Date): string {
  return `the clock of this machine says ${iso(now)}, which is before this rdpull was made`;
}
