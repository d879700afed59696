/** How long the processors are watched at a time, in ms, and how long at most until one does not wait for them any more. */
const WATCHED = 3000;
const PATIENCE = 120_000;

/**
 * Waits until the processors of the machine had nothing to do for most of a few seconds: until it has come up, say. One that always has
 * something to do is not waited for longer than two minutes.
 *
 * @param readStat reads /proc/stat
 * @param signal ends it
 * @param watched ms
 */
export async function lull(
  readStat: () => string,
  signal: AbortSignal,
  watched = WATCHED,
  patience = PATIENCE,
): Promise<void> {
  const end = performance.now() + patience;
  for (let before = processorTimes(readStat()); performance.now() < end; ) {
    await Bun.sleep(watched);
    const now = processorTimes(readStat());
    if (signal.aborted || 2 * (now.idle - before.idle) >= now.all - before.all) return;
    before = now;
  }
}

/** Of all processors together, since the boot, in the clock ticks of proc_stat(5): user, nice, system, idle, iowait, irq, softirq, steal. */
function processorTimes(stat: string): { readonly idle: number; readonly all: number } {
  const times = /^cpu +(.*)$/m.exec(stat)?.[1]?.split(' ').slice(0, 8).map(Number) ?? [];
  return { idle: times[3] ?? 0, all: times.reduce((sum, time) => sum + time, 0) };
}
