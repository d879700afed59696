import fs from 'node:fs';
import path from 'node:path';
import { type Comparison, compare, type Entry, type Site } from './bench-comparison.ts';
import { once } from './bench-inputs.ts';
import { environment } from './bench-shell.ts';
import { measure } from './bench-usage.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

/** How much longer a pull of 1 KiB may take than with the earlier executable, in ms. */
const START_MOST = 15;
/** What the CPU time of a pull of 1 GiB may be of that of the earlier one. */
const RECEIVING_MOST = 1.15;

/** rdpull and an earlier rdpull: nothing to pull, which is the start, and nothing to unpack, which is receiving. */
export async function earlierComparisons(
  executables: { readonly rdpull: string; readonly earlier: string },
  {
    cache,
    rounds,
    startRounds,
  }: { readonly cache: string; readonly rounds: number; readonly startRounds: number },
  site: Site,
): Promise<Comparison[]> {
  const comparisons: Comparison[] = [];
  for (const [name, bytes, times] of [
    ['1 KiB', KIB, startRounds],
    ['1 GiB, raw', KIB * MIB, rounds],
  ] as const) {
    const { url } = noise(bytes, cache, site);
    const entries = [
      pullEntry('rdpull', executables.rdpull, url, site),
      pullEntry('the earlier rdpull', executables.earlier, url, site),
    ];
    comparisons.push(await compare(`${name}, against an earlier rdpull (${times} rounds)`, entries, times));
  }
  return comparisons;
}

/** What is pulled to see what a start takes. */
export function noiseOfStart(cache: string, site: Site) {
  return noise(KIB, cache, site);
}

/** A file of so many bytes, and where the server of the site has it. */
function noise(bytes: number, cache: string, site: Site): { readonly file: string; readonly url: string } {
  const directory = path.join(cache, 'noise');
  fs.mkdirSync(directory, { recursive: true });
  const file = path.join(directory, `${bytes}.raw`);
  once(file, (unfinished) => writeNoise(unfinished, bytes));
  return { file, url: `${site.url}/${path.basename(directory)}/${path.basename(file)}` };
}

function writeNoise(file: string, bytes: number): void {
  const fd = fs.openSync(file, 'w');
  const piece = new Uint8Array(Math.min(bytes, MIB));
  for (let written = 0; written < bytes; written += piece.length) {
    for (let at = 0; at < piece.length; at += 65_536) crypto.getRandomValues(piece.subarray(at, at + 65_536));
    fs.writeSync(fd, piece);
  }
  fs.closeSync(fd);
}

function pullEntry(peer: string, executable: string, url: string, { scratch, destination }: Site): Entry {
  return {
    peer,
    verified: 'verify=no',
    async run() {
      const command = [
        executable,
        'pull',
        '--quiet',
        '--verify=no',
        '--force',
        `--image-root=${destination}`,
        url,
      ];
      const run = await measure(command, { scratch, stagePeaks: undefined, env: environment() });
      if (!run.ok) throw new Error(`${executable} fails with status ${run.status}: ${run.messages}`);
      return run.usage;
    },
  };
}

/** Whether the bounds are kept, in a line for each. */
export function earlierVerdict([start, receiving]: readonly Comparison[]): string {
  const [now, before] = medians(start);
  const longer = now.wall - before.wall;
  const [, received] = receiving?.rows ?? [];
  const ratio = received === undefined || 'unable' in received ? Number.NaN : received.rdpullRatio.cpu;
  const word = (isMet: boolean) => (isMet ? 'met' : 'MISSED');
  return [
    `A pull of 1 KiB takes ${longer.toFixed(1)} ms more than the earlier one; ${word(longer <= START_MOST)}, <= ${START_MOST} ms.`,
    `A pull of 1 GiB takes ${ratio.toFixed(2)} of its CPU time; ${word(ratio <= RECEIVING_MOST)}, <= ${RECEIVING_MOST}.`,
  ].join('\n');
}

function medians(comparison: Comparison | undefined) {
  const [now, before] = (comparison?.rows ?? []).flatMap((row) => ('unable' in row ? [] : [row.median]));
  if (now === undefined || before === undefined) throw new Error('one of both was not measured');
  return [now, before] as const;
}
