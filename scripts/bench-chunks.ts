import fs from 'node:fs';
import path from 'node:path';
import { type Comparison, compare, type Entry, type Site } from './bench-comparison.ts';
import { type ImageBenchmark, makeImageInputs, once, type Packing } from './bench-inputs.ts';
import { shell } from './bench-shell.ts';
import { quantity } from './bench-table.ts';
import { CHUNK_TARGETS } from './bench-targets.ts';
import { measure } from './bench-usage.ts';

/** The stream that chunks are measured by: what `zstd` makes by itself, as casync packs its chunks. */
const STREAM: Packing = { format: 'zstd', fileName: 'image.raw.zst', script: 'zstd -q -T0 <"$1" >"$2"' };

/** Average sizes of a chunk, in KiB; 64 is casync's own. */
const SIZES = Object.keys(CHUNK_TARGETS).map(Number);

const CASYNC = 'casync extract';

/** An image in chunks beside the same image as one stream, each fetched whole; and beside casync itself, which needs an empty store to do that. */
export async function chunkComparisons(
  rdpull: string,
  { cache, mebibytes, rounds, note }: ImageBenchmark,
  site: Site,
): Promise<Comparison[]> {
  const inputs = makeImageInputs(cache, mebibytes, [STREAM], note);
  const url = `${site.url}/${path.basename(inputs.directory)}`;
  const comparisons: Comparison[] = [];
  for (const size of SIZES) {
    const index = path.join(inputs.directory, `chunks-${size}.caibx`);
    const store = path.join(inputs.directory, `chunks-${size}.castr`);
    once(index, (unfinished) => {
      note(`cutting it: ${size} KiB`);
      fs.rmSync(store, { recursive: true, force: true });
      shell(
        `casync make --chunk-size=${size * 1024} --store="$1" "$2" "$3"`,
        store,
        unfinished,
        inputs.image,
      );
    });
    const [chunks = '', bytes = ''] = shell(
      `find "$1" -name '*.cacnk' -printf '%s\\n' | awk '{ n++; s += $1 } END { print n, s }'`,
      store,
    ).split(' ');
    const title = `chunks of ${size} KiB on average: ${chunks}, ${quantity(Number(bytes))}`;
    note(title);
    const pull = (peer: string, file: string, options: readonly string[], target?: number) =>
      entry(peer, inputs.image, site, target, (directory) => [
        ...[rdpull, 'pull', '--quiet', '--verify=no', `--image-root=${directory}`, '--local=image'],
        ...[...options, `${url}/${file}`],
      ]);
    const castr = `${url}/${path.basename(store)}`;
    comparisons.push(
      await compare(
        title,
        [
          pull('rdpull, in chunks', path.basename(index), [`--store=${castr}`]),
          pull('rdpull, one stream of zstd', STREAM.fileName, [], CHUNK_TARGETS[size]),
          entry(CASYNC, inputs.image, site, undefined, (directory) => [
            ...['casync', 'extract', '--seed-output=no', `--store=${castr}`],
            ...[`${url}/${path.basename(index)}`, path.join(directory, 'image.raw')],
          ]),
        ],
        rounds,
      ),
    );
  }
  return comparisons;
}

/** @param command makes `image.raw` in a directory */
function entry(
  peer: string,
  image: string,
  { scratch, destination }: Site,
  target: number | undefined,
  command: (directory: string) => readonly string[],
): Entry {
  return {
    peer,
    verified: peer === CASYNC ? 'each chunk' : 'verify=no',
    ...(target !== undefined && { target }),
    async run() {
      const directory = fs.mkdtempSync(path.join(destination, 'chunks-'));
      try {
        shell('sync');
        const run = await measure(command(directory), { scratch, stagePeaks: undefined });
        if (!run.ok) throw new Error(`${peer} fails with status ${run.status}: ${run.messages}`);
        shell('cmp "$1" "$2"', path.join(directory, 'image.raw'), image);
        return run.usage;
      } finally {
        fs.rmSync(directory, { recursive: true });
      }
    },
  };
}
