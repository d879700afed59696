import fs from 'node:fs';
import path from 'node:path';
import { environmentOfPull } from './bench-shell.ts';

/** What one run of a command cost. */
export interface Usage {
  /** From before fork(2) until the command was waited for, milliseconds. */
  readonly wall: number;
  /** User and system time of all processes, milliseconds: wait4(2)'s ru_utime and ru_stime. */
  readonly cpu: number;
  /** Peak resident set of the largest process, KiB: wait4(2)'s ru_maxrss. */
  readonly rss: number;
  /** Sum of the peak resident sets of the processes that run side by side, KiB. */
  readonly rssOfAll: number;
}

export type Run =
  | { readonly ok: true; readonly usage: Usage }
  | { readonly ok: false; readonly status: number; readonly messages: string };

/**
 * Runs `command` and measures it. A pipeline leaves the peak of each stage in `stagePeaks`, one line each.
 *
 * GNU time stands between Bun and the command because of the resident set alone: Linux carries what a process had before
 * execve(2) into its ru_maxrss, and what Bun starts shares Bun's own memory until then. GNU time forks, and is small.
 */
export async function measure(
  command: readonly string[],
  {
    scratch,
    stagePeaks,
    env = environmentOfPull(),
  }: { readonly scratch: string; readonly stagePeaks: string | undefined; readonly env?: NodeJS.ProcessEnv },
): Promise<Run> {
  const peak = path.join(scratch, 'peak');
  const messages = path.join(scratch, 'messages');
  if (stagePeaks !== undefined) fs.rmSync(stagePeaks, { force: true });

  const begun = performance.now();
  const child = Bun.spawn(['/usr/bin/time', '--quiet', '-f', '%M', '-o', peak, ...command], {
    env,
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: Bun.file(messages),
  });
  const status = await child.exited;
  const wall = performance.now() - begun;

  const resources = child.resourceUsage();
  if (status !== 0 || resources === undefined) {
    return { ok: false, status, messages: fs.readFileSync(messages, 'utf8').trim() };
  }
  const rss = sumOfLines(peak);
  const rssOfAll = stagePeaks === undefined ? rss : sumOfLines(stagePeaks);
  return { ok: true, usage: { wall, cpu: Number(resources.cpuTime.total) / 1000, rss, rssOfAll } };
}

function sumOfLines(file: string): number {
  return fs
    .readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .reduce((sum, line) => sum + Number(line), 0);
}

/** The median of each figure by itself. */
export function medianUsage(usages: readonly Usage[]): Usage {
  const of = (figure: keyof Usage) => median(usages.map((usage) => usage[figure]));
  return { wall: of('wall'), cpu: of('cpu'), rss: of('rss'), rssOfAll: of('rssOfAll') };
}

/** `usage` divided by `other`, figure by figure. */
export function ratioOf(usage: Usage, other: Usage): Usage {
  const of = (figure: keyof Usage) => usage[figure] / other[figure];
  return { wall: of('wall'), cpu: of('cpu'), rss: of('rss'), rssOfAll: of('rssOfAll') };
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const lower = sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN;
  return (lower + upper) / 2;
}
