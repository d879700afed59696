import fs from 'node:fs';

/** A point in time, by both clocks: that of the wall may jump while a machine boots, that of the boot never does. */
export interface Moment {
  /** Since the machine was switched on, in ms: CLOCK_BOOTTIME. */
  readonly boot: number;
  /** ISO 8601, UTC. */
  readonly wall: string;
}

export function now(): Moment {
  return { boot: sinceBoot(), wall: new Date().toISOString() };
}

/** Tells, again and again, how long ago the kernel has started, in ms; also where /proc is gone for a moment, at switch-root. */
export function bootClock(): () => number {
  const started = performance.now() - sinceBoot();
  return () => Math.round(performance.now() - started);
}

/** proc_uptime(5) has seconds, with two decimals. */
function sinceBoot(): number {
  return Math.round(Number(fs.readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1000);
}
