/** Measures rdpull against systemd-pull and a pipeline around curl; called by scripts/bench. */
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { type Comparison, compare, type Entry, pullEntries } from './bench-comparison.ts';
import { GENERATOR_TASKS, generatorEntries } from './bench-generator.ts';
import { makeImageInputs, makeTinyInputs, PACKINGS, type Packing } from './bench-inputs.ts';
import { describeMachine, describeVersions } from './bench-machine.ts';
import { peers } from './bench-peers.ts';
import { type Server, serve } from './bench-server.ts';
import { shell } from './bench-shell.ts';
import { quantity, table } from './bench-table.ts';
import { measure } from './bench-usage.ts';

const HELP = `Usage: scripts/bench [OPTIONS]

Pulls the same files from the same server with rdpull, systemd-pull and curl | tee | xz | dd, in turns, and prints
what each of them cost. The results are compared with the image byte for byte, outside of the timing.

Options:
  --size=MIB         size of the files in the image (default: 512)
  --rounds=N         runs of each, of which the median counts (default: 5)
  --formats=LIST     of ${PACKINGS.map(({ format }) => format).join(',')} (default: all)
  --rdpull=FILE      the executable to measure (default: dist/rdpull)
  --json             print everything, each single run too, as JSON
  --help             show this text`;

const METHOD = `Medians. wall: until the image is on the disk (fsync) and verified as said. CPU: user and system time of all
processes. RSS: peak of the largest process; of all: sum of the peaks of a pipeline's stages. The ratios are rdpull's
figure divided by that of the line: below 1, rdpull needs less. nginx serves from the page cache over loopback.`;

const CACHE = path.resolve('dist/bench');
/** A start is short, so that its noise is large and more of them are cheap. */
const LEAST_START_ROUNDS = 20;

interface Options {
  readonly mebibytes: number;
  readonly rounds: number;
  readonly packings: readonly Packing[];
  readonly rdpull: string;
  readonly json: boolean;
}

function parseOptions(): Options {
  const { values } = parseArgs({
    options: {
      size: { type: 'string', default: '512' },
      rounds: { type: 'string', default: '5' },
      formats: { type: 'string', default: PACKINGS.map(({ format }) => format).join(',') },
      rdpull: { type: 'string', default: 'dist/rdpull' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    process.exit(0);
  }
  const packings = values.formats.split(',').map((wanted) => {
    const packing = PACKINGS.find(({ format }) => format === wanted);
    if (packing === undefined) throw new Error(`--formats: ${wanted} is none of them; see --help`);
    return packing;
  });
  return {
    mebibytes: positive('size', values.size),
    rounds: positive('rounds', values.rounds),
    packings,
    rdpull: values.rdpull,
    json: values.json,
  };
}

function positive(name: string, text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number > 0) return number;
  throw new Error(`--${name}=${text} is not a positive whole number`);
}

/** An executable made like rdpull that does nothing at all. */
async function compileNothing(scratch: string): Promise<string> {
  const source = path.join(scratch, 'nothing.ts');
  const outfile = path.join(scratch, 'nothing');
  fs.writeFileSync(source, '');
  await Bun.build({
    entrypoints: [source],
    target: 'bun',
    minify: true,
    bytecode: true,
    format: 'esm',
    compile: { outfile },
  });
  return outfile;
}

function titleOf({ format, fileName }: Packing, directory: string): string {
  const file = path.join(directory, fileName);
  const size = quantity(fs.statSync(file).size);
  if (!file.endsWith('.xz')) return `${format}: ${size}`;
  const blocks = shell(`xz --robot --list "$1" | awk '/^totals/ { print $3 }'`, file);
  return `xz in ${blocks === '1' ? 'a single block' : `${blocks} blocks`}: ${size}`;
}

async function main(): Promise<void> {
  const options = parseOptions();
  const note = (text: string) => console.error(`bench: ${text}`);
  fs.mkdirSync(CACHE, { recursive: true });
  const scratch = fs.mkdtempSync(path.join(CACHE, 'run-'));
  let server: Server | undefined;
  const cleanUp = async () => {
    await server?.stop();
    fs.rmSync(scratch, { recursive: true, force: true });
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => void cleanUp().finally(() => process.exit(1)));
  }
  try {
    // A copy, so that nobody builds another one in the middle of it.
    const rdpull = path.join(scratch, 'rdpull');
    fs.copyFileSync(options.rdpull, rdpull);
    const tiny = makeTinyInputs(CACHE, note);
    const inputs = makeImageInputs(CACHE, options.mebibytes, note);
    const nothing = await compileNothing(scratch);
    server = await serve(CACHE, scratch);

    const site = { url: server.url, scratch };
    const contestants = peers(rdpull);
    const machine = describeMachine();
    const versions = describeVersions(rdpull);
    const date = new Date().toISOString();
    const comparisons: Comparison[] = [];
    for (const packing of options.packings) {
      const title = titleOf(packing, inputs.directory);
      note(title);
      const entries = await pullEntries(contestants, packing.fileName, { inputs, trial: tiny }, site);
      comparisons.push(await compare(title, entries, options.rounds));
    }
    note('start-up');
    const starts: Entry[] = await pullEntries(contestants, 'image.raw', { inputs: tiny, trial: tiny }, site);
    starts.push({
      peer: 'an empty Bun executable',
      verified: 'does nothing',
      async run() {
        const run = await measure([nothing], { scratch, stagePeaks: undefined });
        if (!run.ok) throw new Error(`${nothing} fails with status ${run.status}: ${run.messages}`);
        return run.usage;
      },
    });
    const startRounds = Math.max(options.rounds, LEAST_START_ROUNDS);
    comparisons.push(await compare(`start-up (raw: 1 KiB, ${startRounds} rounds)`, starts, startRounds));

    for (const { title, commandLine } of GENERATOR_TASKS) {
      note(title);
      const generators = generatorEntries(commandLine, { rdpull, nothing, scratch });
      comparisons.push(await compare(`${title} (${startRounds} rounds)`, generators, startRounds));
    }

    const { mebibytes, rounds } = options;
    if (options.json) {
      const units = { wall: 'ms', cpu: 'ms', rss: 'KiB', rssOfAll: 'KiB', image: 'bytes', memory: 'bytes' };
      const image = { bytes: inputs.bytes, mebibytesOfFiles: mebibytes };
      console.log(
        JSON.stringify(
          { date, machine, versions, image, rounds, units, method: METHOD, comparisons },
          null,
          2,
        ),
      );
      return;
    }
    const { cores, processor, memory, system, kernel, load } = machine;
    console.log(
      `${cores} cores, ${processor}, ${quantity(memory)}, ${system}, Linux ${kernel}, load ${load.toFixed(1)}; ${Object.entries(
        versions,
      )
        .map((pair) => pair.join(' '))
        .join(', ')}; ${date}`,
    );
    console.log(
      `ext4 image of ${quantity(inputs.bytes)} with files out of /usr; rounds, in turns: ${rounds}.`,
    );
    console.log(`${METHOD}\n`);
    console.log(table(comparisons));
  } finally {
    await cleanUp();
  }
}

try {
  await main();
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
