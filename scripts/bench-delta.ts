import fs from 'node:fs';
import path from 'node:path';
import { type Comparison, compare, type Entry, type Site } from './bench-comparison.ts';
import { type ImageBenchmark, makeImageInputs, once, type Packing } from './bench-inputs.ts';
import { serve } from './bench-server.ts';
import { shell } from './bench-shell.ts';
import { quantity } from './bench-table.ts';
import { measure } from './bench-usage.ts';

/** KiB of a chunk on average: casync's own. */
const CHUNK_SIZE = 64;
const STORE = 'delta.castr';

const RAW: Packing = { format: 'raw', fileName: 'image.raw', script: 'cp "$1" "$2"' };

/** What has become of the image that this machine has, and the commands that make it of that (`$1`) at `$2`. */
const CHANGES = [
  { name: 'same', title: 'the same image', script: 'cp "$1" "$2"' },
  {
    name: 'changed',
    title: '1 % changed, in sixteen pieces (RAUC publishes some 10 % for a small change of an ext4)',
    script: `cp "$1" "$2"; size=$(stat -c %s "$1"); piece=$((size / 1600)); for at in $(seq 0 15); do
  dd if=/dev/urandom of="$2" bs=$piece count=1 seek=$((at * 100)) conv=notrunc status=none; done`,
  },
  { name: 'other', title: 'all changed', script: 'head -c "$(stat -c %s "$1")" /dev/urandom >"$2"' },
] as const;

/** What all measurements have in common. */
interface Delta {
  readonly rdpull: string;
  readonly site: Site;
  /** The image that the machine has, and the cache that has it. */
  readonly old: string;
  readonly filled: string;
  readonly server: string;
  /** Bytes that the server has sent so far. */
  readonly sent: () => number;
}

/** What a machine fetches that has an image already, and how long it takes: beside casync with that as its seed, and zsync. */
export async function deltaComparisons(
  rdpull: string,
  { cache, mebibytes, rounds, note }: ImageBenchmark,
  site: Site,
): Promise<Comparison[]> {
  const { directory, image: old } = makeImageInputs(cache, mebibytes, [RAW], note);
  const images = CHANGES.map(({ name, script, title }) => ({
    ...{ name, title },
    image: made(directory, name, script, old, note),
  }));
  const log = path.join(site.scratch, 'delta.log');
  const server = await serve(directory, fs.mkdtempSync(path.join(site.scratch, 'delta-server-')), log);
  const filled = path.join(site.destination, 'delta-cache');
  const sent = () => Number(shell(`awk '{ s += $1 } END { print s + 0 }' "$1"`, log));
  const delta: Delta = { rdpull, site, old, filled, server: server.url, sent };
  const comparisons: Comparison[] = [];
  try {
    fillCache(delta);
    for (const { name, title, image } of images) {
      const fetched = new Map<string, number>();
      const { rows } = await compare(title, entries(delta, name, image, fetched), rounds);
      const { size } = fs.statSync(image);
      const shares = [...fetched].map(
        ([peer, bytes]) => `${peer} ${quantity(bytes)} (${((100 * bytes) / size).toFixed(2)} %)`,
      );
      comparisons.push({ title: `${title}: sent to ${shares.join(', ')}`, rows });
    }
    return comparisons;
  } finally {
    await server.stop();
    fs.rmSync(filled, { recursive: true, force: true });
  }
}

/** What an earlier boot has left. */
function fillCache(delta: Delta): void {
  fs.mkdirSync(delta.filled, { recursive: true });
  const first = fs.mkdtempSync(path.join(delta.site.destination, 'delta-'));
  shell('"$@" >/dev/null', ...pull(delta, 'same', first, delta.filled));
  fs.rmSync(first, { recursive: true });
}

function pull({ rdpull, server }: Delta, name: string, directory: string, kept: string): readonly string[] {
  return [
    ...[rdpull, 'pull', '--quiet', '--verify=no', `--image-root=${directory}`, '--local=image'],
    ...[`--cache=${kept}`, `--store=${server}/${STORE}`, `${server}/delta-${name}.caibx`],
  ];
}

/** @param fetched takes what the server has sent to each */
function entries(delta: Delta, name: string, image: string, fetched: Map<string, number>): Entry[] {
  const { site, old, filled, server, sent } = delta;
  const entry = (
    peer: string,
    verified: string,
    command: (directory: string) => readonly string[],
  ): Entry => ({
    ...{ peer, verified },
    async run() {
      const directory = fs.mkdtempSync(path.join(site.destination, 'delta-'));
      try {
        shell('cp -a "$1" "$2"; sync', filled, path.join(directory, 'kept'));
        const before = sent();
        const run = await measure(command(directory), { scratch: site.scratch, stagePeaks: undefined });
        if (!run.ok) throw new Error(`${peer} fails with status ${run.status}: ${run.messages}`);
        fetched.set(peer, sent() - before);
        shell('cmp "$1" "$2"', path.join(directory, 'image.raw'), image);
        return run.usage;
      } finally {
        fs.rmSync(directory, { recursive: true });
      }
    },
  });
  return [
    entry('rdpull --cache', 'each chunk', (directory) =>
      pull(delta, name, directory, path.join(directory, 'kept')),
    ),
    entry('casync extract --seed', 'each chunk', (directory) => [
      ...['casync', 'extract', '--seed-output=no', `--seed=${old}`, `--store=${server}/${STORE}`],
      ...[`${server}/delta-${name}.caibx`, path.join(directory, 'image.raw')],
    ]),
    entry('zsync', 'SHA-1 of the whole', (directory) => [
      ...['zsync', '-q', '-i', old, '-o', path.join(directory, 'image.raw')],
      `${server}/delta-${name}.raw.zsync`,
    ]),
  ];
}

/** An image that is made of the old one, with its index, its chunks and its list of blocks for zsync, made once. */
function made(
  directory: string,
  name: string,
  script: string,
  old: string,
  note: (text: string) => void,
): string {
  const image = path.join(directory, `delta-${name}.raw`);
  once(image, (unfinished) => shell(`set -e; ${script}`, old, unfinished));
  once(path.join(directory, `delta-${name}.caibx`), (unfinished) => {
    note(`cutting it: ${name}`);
    const store = path.join(directory, STORE);
    shell(
      `casync make --chunk-size=${CHUNK_SIZE * 1024} --store="$1" "$2.caibx" "$3"; mv "$2.caibx" "$2"`,
      store,
      unfinished,
      image,
    );
  });
  once(`${image}.zsync`, (unfinished) =>
    shell('cd "$1"; zsyncmake -u "$2" -o "$3" "$2"', directory, path.basename(image), unfinished),
  );
  return image;
}
