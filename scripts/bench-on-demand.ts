import fs from 'node:fs';
import path from 'node:path';
import { type Comparison, compare, type Entry, type Site } from './bench-comparison.ts';
import { type ImageBenchmark, type Inputs, makeImageInputs, type Packing } from './bench-inputs.ts';
import { serveLate } from './bench-late-server.ts';
import { environment, spawned } from './bench-shell.ts';
import { FILL_TARGET, SEQUENTIAL_TARGET } from './bench-targets.ts';
import type { Usage } from './bench-usage.ts';

/** What the README says an image on demand is to be packed like. */
const PACKING: Packing = {
  format: 'xz in blocks of 1 MiB',
  fileName: 'image.1mib.raw.xz',
  script: 'xz -T0 -3 --block-size=1MiB <"$1" >"$2"',
};

/** How late the server answers that single reads are measured with, in ms. */
const LATENCY = 10;
/** Reads of 4 KiB: of one reader, of 8 at once. */
const READS = [
  { readers: 1, reads: 100 },
  { readers: 8, reads: 400 },
] as const;

const NBDKIT = 'nbdkit curl --filter=xz';
const NOT_MEASURED = { cpu: Number.NaN, rss: Number.NaN, rssOfAll: Number.NaN };

/** A block device whose image is on a server. Disposing of it detaches it, and ends who serves it. */
interface Attached extends AsyncDisposable {
  readonly device: string;
}

/** Who can attach an image. `url` has the packed one. */
type Attach = (url: string, site: Site) => Promise<Attached>;

/**
 * rdpull's on-demand device, and what Debian has to offer: nbdkit's curl plugin with its xz filter. The kernel's own client of NBD
 * has to be loaded, which not every machine lets one do; nbdfuse makes a file of it, which a loop device with direct I/O is put on: rdpull's
 * device is made in the same way. Where nothing is mounted, nbdcopy reads it instead, without either.
 */
export async function onDemandComparisons(
  rdpull: string,
  { cache, mebibytes, rounds, note }: ImageBenchmark,
  site: Site,
): Promise<Comparison[]> {
  const inputs = makeImageInputs(cache, mebibytes, [PACKING], note);
  const file = `${path.basename(inputs.directory)}/${PACKING.fileName}`;
  const size = fs.statSync(path.join(inputs.directory, PACKING.fileName)).size;
  const url = `${site.url}/${file}`;
  const comparisons: Comparison[] = [];
  const run = async (title: string, entries: readonly Entry[]) => {
    note(title);
    comparisons.push(await compare(`on demand, ${title}`, entries, rounds));
  };
  const peers: readonly (readonly [string, Attach])[] = [
    ['rdpull', attachByRdpull(rdpull, ['--fill=no'])],
    [NBDKIT, attachByNbdkit],
  ];

  await run(
    `from the start to the first 4 KiB (${PACKING.format}, ${mebi(size)})`,
    peers.map(([peer, attach]) => entry(peer, () => firstByte(attach, url, site))),
  );
  {
    using late = serveLate(cache, LATENCY);
    for (const { readers, reads } of READS) {
      await run(
        `${reads} random reads of 4 KiB, ${readers} at once, ${LATENCY} ms of latency`,
        peers.map(([peer, attach]) =>
          entry(peer, async () => {
            await using attached = await attach(`${late.url}/${file}`, site);
            return await readRandomly(attached.device, readers, reads);
          }),
        ),
      );
    }
  }
  await run('until all is there, nobody reading', fillEntries(rdpull, url, site));
  await run('sequential read of what is there', await sequentialEntries(rdpull, url, inputs, site));
  return comparisons;
}

const mebi = (bytes: number) => `${Math.round(bytes / 1024 / 1024)} MiB`;

function entry(peer: string, measure: () => Promise<number>, target?: number): Entry {
  const run = async (): Promise<Usage> => ({ wall: await measure(), ...NOT_MEASURED });
  return { peer, verified: 'verify=no', run, ...(target !== undefined && { target }) };
}

async function timed(action: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await action();
  return performance.now() - begun;
}

async function firstByte(attach: Attach, url: string, site: Site): Promise<number> {
  const begun = performance.now();
  await using attached = await attach(url, site);
  await spawned('dd', `if=${attached.device}`, 'of=/dev/null', 'bs=4K', 'count=1', 'iflag=direct');
  return performance.now() - begun;
}

async function readRandomly(device: string, readers: number, reads: number): Promise<number> {
  const script = path.join(import.meta.dir, 'bench-random-reads.py');
  return Number(await spawned('python3', script, device, String(readers), String(reads)));
}

/** A running rdpull that has printed its device. */
function attachByRdpull(rdpull: string, options: readonly string[]): Attach {
  return async (url, { destination }) => {
    const root = fs.mkdtempSync(path.join(destination, 'on-demand-'));
    const child = Bun.spawn(
      [
        ...[rdpull, 'pull', '--on-demand=require', '--blockdev', '--verify=no', '--quiet'],
        ...[...options, `--image-root=${root}`, url],
      ],
      { env: environment(), stdin: 'ignore', stdout: 'pipe', stderr: 'inherit' },
    );
    const device = await firstLine(child.stdout);
    return {
      device,
      async [Symbol.asyncDispose]() {
        child.kill();
        await child.exited;
        // It stays when all of it is there.
        await spawned('losetup', '--detach', device).catch(() => undefined);
        fs.rmSync(root, { recursive: true });
      },
    };
  };
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    const [line] = text.split('\n');
    if (line !== undefined && line.length < text.length) return line;
  }
  throw new Error('nothing was attached');
}

async function attachByNbdkit(url: string, { scratch }: Site): Promise<Attached> {
  const directory = fs.mkdtempSync(path.join(scratch, 'nbd-'));
  const file = path.join(directory, 'nbd');
  const script = `exec nbdfuse -r ${file} "$uri"`;
  const child = Bun.spawn(['nbdkit', '-r', '-U', '-', '--filter=xz', 'curl', url, '--run', script], {
    env: environment(),
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  // nbdfuse ends when its file system is gone, and nbdkit when nbdfuse has ended.
  const end = async () => {
    if (child.exitCode === null && child.signalCode === null) await spawned('umount', '--lazy', directory);
    await child.exited;
    fs.rmdirSync(directory);
  };
  try {
    while (!fs.existsSync(file)) {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error('nbdkit has ended');
      await Bun.sleep(2);
    }
    const device = await spawned('losetup', '--find', '--show', '--read-only', '--direct-io=on', file);
    return {
      device,
      async [Symbol.asyncDispose]() {
        await spawned('losetup', '--detach', device);
        await end();
      },
    };
  } catch (error) {
    await end();
    throw error;
  }
}

/** Until the whole image is in a file. */
function fillEntries(rdpull: string, url: string, { destination }: Site): Entry[] {
  const pull =
    (...options: string[]) =>
    async () => {
      const root = fs.mkdtempSync(path.join(destination, 'fill-'));
      const command = [rdpull, 'pull', '--quiet', '--verify=no', `--image-root=${root}`, ...options, url];
      const wall = await timed(() => spawned(...command));
      const [device] = fs.readdirSync(root);
      if (options.length > 0 && device !== undefined)
        await spawned(rdpull, 'detach', path.join(root, device));
      fs.rmSync(root, { recursive: true });
      return wall;
    };
  const copy = async () => {
    const target = path.join(destination, 'copied');
    const script = `nbdcopy "$uri" ${target}`;
    const wall = await timed(() =>
      spawned('nbdkit', '-r', '-U', '-', '--filter=xz', 'curl', url, '--run', script),
    );
    fs.rmSync(target);
    return wall;
  };
  return [
    entry('rdpull', pull('--on-demand=require', '--blockdev')),
    entry('rdpull, downloaded whole', pull(), FILL_TARGET),
    entry(`${NBDKIT}, nbdcopy`, copy),
  ];
}

/**
 * Of a device that is not handed over: the hand-over waits as long as the device itself is mounted by ext4. Beside it a loop device like it on
 * the image as it is.
 */
async function sequentialEntries(
  rdpull: string,
  url: string,
  { image, bytes }: Inputs,
  site: Site,
): Promise<Entry[]> {
  const read = (device: string) =>
    timed(() => spawned('dd', `if=${device}`, 'of=/dev/null', 'bs=1M', 'iflag=direct', 'status=none'));
  const onMemory = path.join('/dev/shm', `rdpull-bench-${process.pid}`);
  const there = async (peer: string, attach: Attach, target?: number): Promise<Entry> =>
    entry(
      peer,
      async () => {
        await using attached = await attach(url, site);
        return await read(attached.device);
      },
      target,
    );
  const filled: Attach = async (from, at) => {
    const attached = await attachByRdpull(rdpull, [])(from, { ...at, destination: '/dev/shm' });
    const mountPoint = fs.mkdtempSync(path.join(at.scratch, 'mnt-'));
    await spawned('mount', '-o', 'ro', attached.device, mountPoint);
    // All that can be read has come when it has been read once, and a device that was handed over would not be measured.
    await read(attached.device);
    return {
      device: attached.device,
      async [Symbol.asyncDispose]() {
        const backing = fs.readFileSync(
          `/sys/block/${path.basename(attached.device)}/loop/backing_file`,
          'utf8',
        );
        await spawned('umount', mountPoint);
        fs.rmdirSync(mountPoint);
        await attached[Symbol.asyncDispose]();
        if (!backing.startsWith('/dev/shm')) throw new Error(`it was read from ${backing}`);
      },
    };
  };
  const plain: Attach = async () => {
    fs.copyFileSync(image, onMemory);
    if (fs.statSync(onMemory).size !== bytes) throw new Error(`${onMemory} is not the image`);
    const device = await spawned('losetup', '--find', '--show', '--read-only', '--direct-io=on', onMemory);
    await read(device);
    return {
      device,
      async [Symbol.asyncDispose]() {
        await spawned('losetup', '--detach', device);
        fs.rmSync(onMemory);
      },
    };
  };
  return [await there('rdpull', filled), await there('a loop device on tmpfs', plain, SEQUENTIAL_TARGET)];
}
