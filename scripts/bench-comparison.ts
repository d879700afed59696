import fs from 'node:fs';
import path from 'node:path';
import type { Inputs } from './bench-inputs.ts';
import { type Peer, PULLED } from './bench-peers.ts';
import { shell } from './bench-shell.ts';
import { LIMIT_TARGET } from './bench-targets.ts';
import { measure, medianUsage, ratioOf, type Usage } from './bench-usage.ts';

/** All peers at the same task. */
export interface Comparison {
  readonly title: string;
  /** rdpull first. */
  readonly rows: readonly Row[];
}

/** One peer in one comparison. */
export type Row =
  | { readonly peer: string; readonly unable: string }
  | {
      readonly peer: string;
      readonly verified: string;
      readonly runs: readonly Usage[];
      readonly median: Usage;
      /** rdpull's median divided by this one's. */
      readonly rdpullRatio: Usage;
      /** What that ratio of wall times is to be at most. */
      readonly target?: number;
    };

/** Who takes part in a comparison, and who cannot. */
export type Entry =
  | { readonly peer: string; readonly unable: string }
  | {
      readonly peer: string;
      readonly verified: string;
      /** What rdpull's wall time may be of this one's; `slowest`: {@link LIMIT_TARGET}, if none of these is slower. */
      readonly target?: number | 'slowest';
      run(): Promise<Usage>;
    };

/** Where the runs take place. */
export interface Site {
  /** Of the server. */
  readonly url: string;
  /** A directory for what the measuring leaves. */
  readonly scratch: string;
  /** A directory on the file system that is pulled to. */
  readonly destination: string;
}

/** Lets all entries take turns, `rounds` times. The first is rdpull. */
export async function compare(title: string, entries: readonly Entry[], rounds: number): Promise<Comparison> {
  const able = entries.flatMap((entry) => ('run' in entry ? [{ entry, runs: [] as Usage[] }] : []));
  for (let round = 0; round < rounds; round++) {
    // Each comes first once in a while, so that none always runs in the wake of the same other one.
    const first = round % able.length;
    for (const { entry, runs } of [...able.slice(first), ...able.slice(0, first)])
      runs.push(await entry.run());
  }
  const medians = new Map(able.map(({ entry, runs }) => [entry.peer, { runs, median: medianUsage(runs) }]));
  const rdpull = able[0] && medians.get(able[0].entry.peer)?.median;
  const slowest = Math.max(
    ...able.flatMap(({ entry }) =>
      entry.target === 'slowest' ? [medians.get(entry.peer)?.median.wall ?? 0] : [],
    ),
  );
  const rows = entries.map((entry): Row => {
    const measured = medians.get(entry.peer);
    if ('unable' in entry) return entry;
    if (measured === undefined || rdpull === undefined) throw new Error(`${entry.peer} was not measured`);
    const bounding = entry.target === 'slowest' && measured.median.wall === slowest;
    const target = entry.target === 'slowest' ? (bounding ? LIMIT_TARGET : undefined) : entry.target;
    return {
      peer: entry.peer,
      verified: bounding ? 'the limit of this machine' : entry.verified,
      ...measured,
      rdpullRatio: ratioOf(rdpull, measured.median),
      ...(target !== undefined && { target }),
    };
  });
  return { title, rows };
}

/**
 * An entry for each peer that pulls `fileName`.
 *
 * @param trial inputs packed alike, but tiny: who does not get the image out of them is not able to
 */
export async function pullEntries(
  peers: readonly Peer[],
  fileName: string,
  targets: Readonly<Record<string, number>>,
  { inputs, trial }: { readonly inputs: Inputs; readonly trial: Inputs },
  site: Site,
): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (const peer of peers) {
    const { name, verified } = peer;
    const outcome = await pull(peer, trial, fileName, site);
    if (typeof outcome === 'string') entries.push({ peer: name, unable: outcome });
    else {
      const target = targets[name];
      entries.push({
        peer: name,
        verified,
        ...(target !== undefined && { target }),
        run: () => pullSurely(peer, inputs, fileName, site),
      });
    }
  }
  return entries;
}

async function pullSurely(peer: Peer, inputs: Inputs, fileName: string, site: Site): Promise<Usage> {
  const outcome = await pull(peer, inputs, fileName, site);
  if (typeof outcome !== 'string') return outcome;
  throw new Error(`${peer.name}, ${inputs.directory}/${fileName}: ${outcome}`);
}

/** @returns what it cost, or a text that says why there is no image */
async function pull(
  peer: Peer,
  { directory, image }: Inputs,
  fileName: string,
  { url, scratch, destination }: Site,
): Promise<Usage | string> {
  const target = path.join(destination, 'target');
  const stagePeaks = path.join(scratch, 'stage-peaks');
  fs.mkdirSync(target);
  // What others have still to write must not be counted here.
  shell('sync');
  const task = { url: `${url}/${path.basename(directory)}`, fileName, target };
  const run = await measure(peer.command(task, stagePeaks), {
    scratch,
    stagePeaks: peer.pipeline ? stagePeaks : undefined,
  });
  const same = run.ok && sameBytes(path.join(target, PULLED), image);
  fs.rmSync(target, { recursive: true });
  if (!run.ok) return `fails with status ${run.status}: ${run.messages}`;
  return same ? run.usage : 'does not unpack it';
}

function sameBytes(file: string, image: string): boolean {
  return fs.existsSync(file) && Bun.spawnSync(['cmp', '--quiet', file, image]).exitCode === 0;
}
