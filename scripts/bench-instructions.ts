import fs from 'node:fs';
import path from 'node:path';
import type { Site } from './bench-comparison.ts';
import { environment } from './bench-shell.ts';

/** Garbage is collected by the clock, and an emulated processor is slow: the least of some runs is the one with the least of it. */
const RUNS = 5;

/** On a tmpfs, as /run/systemd/generator is. */
const UNITS = `/dev/shm/rdpull-bench-${process.pid}`;

/** A start, and what its instructions may be of those of the earlier executable. */
interface Start {
  readonly name: string;
  readonly most: number;
  readonly args: readonly string[];
}

/** What the start of one executable takes, and that of another. */
export interface StartCount {
  readonly name: string;
  readonly most: number;
  /** Instructions in all threads, the least of {@link RUNS} runs. */
  readonly now: number;
  readonly earlier: number;
}

/**
 * Counts the instructions of four starts in qemu-user, both executables in turns.
 *
 * @param file of 1 KiB, which the server of the site has as well, at `url`
 */
export async function countStarts(
  executables: { readonly rdpull: string; readonly earlier: string },
  { file, url }: { readonly file: string; readonly url: string },
  site: Site,
): Promise<StartCount[]> {
  const plugin = path.join(site.scratch, 'count-instructions.so');
  const source = path.join(import.meta.dir, 'count-instructions.c');
  const made = Bun.spawnSync(['gcc', '-O2', '-shared', '-fPIC', '-o', plugin, source]);
  if (made.exitCode !== 0) throw new Error(`gcc fails: ${made.stderr}`);
  const pull = ['pull', '--quiet', '--verify=no', '--force', `--image-root=${site.destination}`];
  const starts: readonly Start[] = [
    { name: 'pull of 1 KiB from a file', most: 0.8, args: [...pull, `file://${file}`] },
    { name: 'pull of 1 KiB over http', most: 1.1, args: [...pull, url] },
    { name: '--version', most: 0.8, args: ['--version'] },
    { name: 'generator, one expression', most: 0.9, args: ['generate', UNITS, UNITS, UNITS] },
  ];
  const counts: StartCount[] = [];
  for (const { name, most, args } of starts) {
    let [now, earlier] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    for (let run = 0; run < RUNS; run++) {
      now = Math.min(now, await count([executables.rdpull, ...args], plugin, site.scratch));
      earlier = Math.min(earlier, await count([executables.earlier, ...args], plugin, site.scratch));
    }
    counts.push({ name, most, now, earlier });
  }
  return counts;
}

async function count(command: readonly string[], plugin: string, scratch: string): Promise<number> {
  const counted = path.join(scratch, 'counted');
  const messages = path.join(scratch, 'messages');
  const emulator = process.arch === 'arm64' ? 'qemu-aarch64' : 'qemu-x86_64';
  fs.mkdirSync(UNITS, { recursive: true });
  const child = Bun.spawn([emulator, '-plugin', plugin, ...command], {
    env: {
      ...environment(),
      COUNTED: counted,
      SYSTEMD_IN_INITRD: '1',
      SYSTEMD_PROC_CMDLINE:
        'quiet rd.systemd.pull=raw,machine,verify=no:root:http://192.0.2.1:8081/image.raw.xz',
    },
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: Bun.file(messages),
  });
  const status = await child.exited;
  fs.rmSync(UNITS, { recursive: true });
  if (status !== 0) throw new Error(`${command.join(' ')} fails: ${fs.readFileSync(messages, 'utf8')}`);
  return Number(fs.readFileSync(counted, 'utf8'));
}

/** A line for each start, and whether its bound is kept. */
export function startVerdict(counts: readonly StartCount[]): string {
  const millions = (instructions: number) => (instructions / 1e6).toFixed(1);
  return counts
    .map(({ name, most, now, earlier }) => {
      const ratio = now / earlier;
      return (
        `Instructions, ${name}: ${millions(now)} million, ${ratio.toFixed(2)} of the earlier one; ` +
        `${ratio <= most ? 'met' : 'MISSED'}, <= ${most.toFixed(2)}.`
      );
    })
    .join('\n');
}
