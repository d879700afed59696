/** Measures rdpull against systemd-pull and a pipeline around curl; called by scripts/bench. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { chunkComparisons } from './bench-chunks.ts';
import { type Comparison, compare, type Entry, pullEntries, type Site } from './bench-comparison.ts';
import { deltaComparisons } from './bench-delta.ts';
import { earlierComparisons, earlierVerdict, noiseOfStart } from './bench-earlier.ts';
import { GENERATOR_TASKS, generatorEntries } from './bench-generator.ts';
import { makeImageInputs, makeTinyInputs, PACKINGS, type Packing } from './bench-inputs.ts';
import { countStarts, startVerdict } from './bench-instructions.ts';
import { limitEntries } from './bench-limits.ts';
import { describeMachine, describeVersions } from './bench-machine.ts';
import { onDemandComparisons } from './bench-on-demand.ts';
import { onEmulatedProcessor, onOneCore, type Peer, peers, SYSTEMD_262 } from './bench-peers.ts';
import { type Server, serve } from './bench-server.ts';
import { shell } from './bench-shell.ts';
import { quantity, table, verdict } from './bench-table.ts';
import { makeTarInputs, tarEntries } from './bench-tar.ts';
import { EMULATED_TARGET, ONE_CORE_TARGET, SCALING_TARGET, START_TARGET, TARGETS } from './bench-targets.ts';
import { measure } from './bench-usage.ts';
import { verificationEntries } from './bench-verification.ts';

const METHOD = `Medians. wall: until the image is on the disk (fsync) and verified as said. CPU: user and system time of all
processes. RSS: peak of the largest process; of all: sum of the peaks of a pipeline's stages. The ratios are rdpull's
figure divided by that of the line: below 1, rdpull needs less. nginx serves from the page cache over loopback.`;

const CACHE = path.resolve('dist/bench');
/** Sizes that show how the cost grows, MiB of files. */
const GROWTH = [256, 1024, 4096] as const;
const GROWTH_FORMATS: ReadonlySet<string> = new Set(['xz-multi', 'zstd']);
/** What is decoded on all cores. */
const PARALLEL_FORMATS: ReadonlySet<string> = new Set(['xz-multi', 'xz-multi-6']);

/** rdpull and systemd-pull where there is one processor, and where there is none of one's own. */
const SLOW: readonly {
  readonly part: Part;
  readonly slower: (peer: Peer) => Peer;
  readonly target: number;
}[] = [
  { part: 'one-core', slower: onOneCore, target: ONE_CORE_TARGET },
  { part: 'emulated', slower: onEmulatedProcessor, target: EMULATED_TARGET },
];

const note = (text: string) => console.error(`bench: ${text}`);

const PARTS = [
  'pull',
  'scaling',
  'one-core',
  'emulated',
  'on-demand',
  'chunks',
  'delta',
  'tar',
  'verification',
  'start',
  'generator',
] as const;
type Part = (typeof PARTS)[number];

const HELP = `Usage: scripts/bench [OPTIONS]

Pulls the same files from the same server with rdpull, systemd-pull and curl | tee | xz | dd, in turns, and prints
what each of them cost, and whether rdpull's targets are met. The results are compared byte for byte, outside of the
timing. The files are made once, in dist/bench; after that it takes about ten minutes.

Options:
  --size=MIB         size of the files in the image (default: 256)
  --rounds=N         runs of each, of which the median counts (default: 5)
  --formats=LIST     of ${PACKINGS.map(({ format }) => format).join(',')} (default: all)
  --only=LIST        of ${PARTS.join(',')} (default: all)
  --growth           show how the cost grows with the image: ${GROWTH.join(', ')} MiB, and nothing else
  --target=DIR       where to pull to, for example on a tmpfs (default: dist/bench)
  --rdpull=FILE      the executable to measure (default: dist/rdpull)
  --earlier=FILE     compare it with an earlier one, in turns: 1 KiB, 1 GiB, and the
                     instructions of a start (qemu-user); nothing else
  --json             print everything, each single run too, as JSON
  --help             show this text`;

/** A start is short, so that its noise is large and more of them are cheap. */
const LEAST_START_ROUNDS = 20;

interface Options {
  readonly parts: ReadonlySet<Part>;
  readonly growth: boolean;
  readonly target: string;
  readonly mebibytes: number;
  readonly rounds: number;
  readonly packings: readonly (typeof PACKINGS)[number][];
  readonly rdpull: string;
  readonly earlier: string | undefined;
  readonly json: boolean;
}

function parseOptions(): Options {
  const { values } = parseArgs({
    options: {
      size: { type: 'string', default: '256' },
      only: { type: 'string', default: PARTS.join(',') },
      growth: { type: 'boolean', default: false },
      target: { type: 'string', default: CACHE },
      rounds: { type: 'string', default: '5' },
      formats: { type: 'string', default: PACKINGS.map(({ format }) => format).join(',') },
      rdpull: { type: 'string', default: 'dist/rdpull' },
      earlier: { type: 'string' },
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
  const parts = values.only.split(',').map((wanted) => {
    const part = PARTS.find((each) => each === wanted);
    if (part === undefined) throw new Error(`--only: ${wanted} is none of them; see --help`);
    return part;
  });
  return {
    parts: new Set(parts),
    growth: values.growth,
    target: path.resolve(values.target),
    mebibytes: positive('size', values.size),
    rounds: positive('rounds', values.rounds),
    packings,
    rdpull: values.rdpull,
    earlier: values.earlier,
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

/** Everything that is to be compared, one after the other. */
async function measureAll(options: Options, rdpull: string, site: Site): Promise<Comparison[]> {
  const { parts, packings, rounds, earlier } = options;
  const startRounds = Math.max(rounds, LEAST_START_ROUNDS);
  if (earlier !== undefined) {
    return earlierComparisons({ rdpull, earlier }, { cache: CACHE, rounds, startRounds }, site);
  }
  const contestants = peers(rdpull);
  const tiny = makeTinyInputs(CACHE, note);
  const comparisons: Comparison[] = [];
  const run = async (title: string, entries: readonly Entry[], times: number) => {
    note(title);
    comparisons.push(await compare(title, entries, times));
  };
  if (options.growth) {
    const [contestant] = contestants;
    for (const mebibytes of GROWTH) {
      for (const packing of packings.filter(({ format }) => GROWTH_FORMATS.has(format))) {
        const inputs = makeImageInputs(CACHE, mebibytes, [packing], note);
        const entries = await pullEntries([contestant], packing.fileName, {}, { inputs, trial: tiny }, site);
        const title = `${titleOf(packing, inputs.directory)} of ${quantity(inputs.bytes)}`;
        await run(title, entries, rounds);
      }
    }
    return comparisons;
  }
  if (parts.has('pull')) {
    const inputs = makeImageInputs(CACHE, options.mebibytes, packings, note);
    for (const packing of packings) {
      const { fileName, format } = packing;
      const entries = await pullEntries(
        contestants,
        fileName,
        TARGETS[format],
        { inputs, trial: tiny },
        site,
      );
      const url = `${site.url}/${path.basename(inputs.directory)}/${fileName}`;
      const limits = limitEntries(path.join(inputs.directory, fileName), url, site.scratch);
      await run(titleOf(packing, inputs.directory), [...entries, ...limits], rounds);
    }
  }
  if (parts.has('scaling')) {
    const [contestant] = contestants;
    const alone = onOneCore(contestant);
    const most = 1 / (SCALING_TARGET * os.availableParallelism());
    for (const packing of packings.filter(({ format }) => PARALLEL_FORMATS.has(format))) {
      const inputs = makeImageInputs(CACHE, options.mebibytes, [packing], note);
      const trials = { inputs, trial: tiny };
      const entries = await pullEntries(
        [contestant, alone],
        packing.fileName,
        { [alone.name]: most },
        trials,
        site,
      );
      await run(`scaling, ${titleOf(packing, inputs.directory)}`, entries, rounds);
    }
  }
  for (const { part, slower, target } of SLOW) {
    if (!parts.has(part)) continue;
    const both = contestants.filter(({ name }) => name === 'rdpull' || name === SYSTEMD_262).map(slower);
    for (const packing of packings) {
      const inputs = makeImageInputs(CACHE, options.mebibytes, [packing], note);
      const trials = { inputs, trial: tiny };
      const targets = Object.fromEntries(both.slice(1).map(({ name }) => [name, target]));
      const entries = await pullEntries(both, packing.fileName, targets, trials, site);
      await run(`${part}, ${titleOf(packing, inputs.directory)}`, entries, rounds);
    }
  }
  if (parts.has('on-demand')) {
    const { mebibytes } = options;
    comparisons.push(...(await onDemandComparisons(rdpull, { cache: CACHE, mebibytes, rounds, note }, site)));
  }
  if (parts.has('chunks')) {
    const { mebibytes } = options;
    comparisons.push(...(await chunkComparisons(rdpull, { cache: CACHE, mebibytes, rounds, note }, site)));
  }
  if (parts.has('delta')) {
    const { mebibytes } = options;
    comparisons.push(...(await deltaComparisons(rdpull, { cache: CACHE, mebibytes, rounds, note }, site)));
  }
  if (parts.has('tar')) {
    const inputs = makeTarInputs(CACHE, note);
    const title = `tar: ${quantity(fs.statSync(inputs.file).size)}, ${inputs.entries} entries`;
    await run(title, tarEntries(rdpull, inputs, site), rounds);
  }
  if (parts.has('verification')) {
    const entries = verificationEntries(rdpull, site);
    await run(`verification (raw: 1 KiB, ${startRounds} rounds)`, entries, startRounds);
  }
  const nothing = await compileNothing(site.scratch);
  if (parts.has('start')) {
    const starts: Entry[] = await pullEntries(
      contestants,
      'image.raw',
      {},
      { inputs: tiny, trial: tiny },
      site,
    );
    starts.push({
      peer: 'an empty Bun executable',
      verified: 'does nothing',
      target: START_TARGET,
      async run() {
        const measured = await measure([nothing], { scratch: site.scratch, stagePeaks: undefined });
        if (measured.ok) return measured.usage;
        throw new Error(`${nothing} fails with status ${measured.status}: ${measured.messages}`);
      },
    });
    await run(`start-up (raw: 1 KiB, ${startRounds} rounds)`, starts, startRounds);
  }
  if (parts.has('generator')) {
    for (const { title, commandLine } of GENERATOR_TASKS) {
      const entries = generatorEntries(commandLine, { rdpull, nothing, scratch: site.scratch });
      await run(`${title} (${startRounds} rounds)`, entries, startRounds);
    }
  }
  return comparisons;
}

async function main(): Promise<void> {
  const options = parseOptions();
  fs.mkdirSync(CACHE, { recursive: true });
  const scratch = fs.mkdtempSync(path.join(CACHE, 'run-'));
  const destination = fs.mkdtempSync(path.join(options.target, 'rdpull-bench-'));
  let server: Server | undefined;
  const cleanUp = async () => {
    await server?.stop();
    fs.rmSync(scratch, { recursive: true, force: true });
    fs.rmSync(destination, { recursive: true, force: true });
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => void cleanUp().finally(() => process.exit(1)));
  }
  try {
    // A copy, so that nobody builds another one in the middle of it.
    const rdpull = path.join(scratch, 'rdpull');
    fs.copyFileSync(options.rdpull, rdpull);
    server = await serve(CACHE, scratch);
    const machine = describeMachine();
    const versions = describeVersions(rdpull);
    const date = new Date().toISOString();
    const fileSystem = shell('findmnt -no FSTYPE -T "$1"', destination);
    const site = { url: server.url, scratch, destination };
    const comparisons = await measureAll(options, rdpull, site);
    const { earlier } = options;
    const starts =
      earlier === undefined ? [] : await countStarts({ rdpull, earlier }, noiseOfStart(CACHE, site), site);
    const { mebibytes, rounds } = options;
    if (options.json) {
      const units = { wall: 'ms', cpu: 'ms', rss: 'KiB', rssOfAll: 'KiB', memory: 'bytes' };
      const facts = {
        date,
        machine,
        versions,
        fileSystem,
        mebibytesOfFiles: mebibytes,
        rounds,
        units,
        starts,
      };
      console.log(JSON.stringify({ ...facts, method: METHOD, comparisons }, null, 2));
      return;
    }
    const { cores, processor, memory, system, kernel, load } = machine;
    const named = Object.entries(versions).map((pair) => pair.join(' '));
    console.log(
      `${cores} cores, ${processor}, ${quantity(memory)}, ${system}, Linux ${kernel}, load ${load.toFixed(1)}; ${named.join(', ')}; ${date}`,
    );
    console.log(
      `Images with ${mebibytes} MiB of files out of /usr, pulled to ${fileSystem}; rounds, in turns: ${rounds}.`,
    );
    console.log(`${METHOD}\n`);
    console.log(table(comparisons));
    console.log(`\n${earlier === undefined ? verdict(comparisons) : earlierVerdict(comparisons)}`);
    if (starts.length > 0) console.log(startVerdict(starts));
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
