import fs from 'node:fs';
import path from 'node:path';

/** What is there after some runs that could have been left behind by one of them. */
export interface Leftovers {
  /** Names in the directory of the images, beside the images themselves. */
  readonly files: number;
  readonly loopDevices: number;
  readonly mounts: number;
  /** Below /run/rdpull/loop-ref. */
  readonly loopRefs: number;
  /** Names in /dev/shm and in the directory for temporary files that have to do with rdpull. */
  readonly shared: number;
  /** Open files of the whole machine: /proc/sys/fs/file-nr. Others have a part in it. */
  readonly openFiles: number;
}

/** Memory and open descriptors of one process, at a point in time. */
export interface Sample {
  /** Since the first one, or the number of the run. */
  readonly at: number;
  /** Resident set without what is shared with other processes and files, bytes. */
  readonly anonymous: number;
  /** Resident set, bytes. */
  readonly resident: number;
  readonly descriptors: number;
}

/** Runs the executable; what it prints is only shown when it fails. */
export async function rdpull(executable: string, args: readonly string[]): Promise<void> {
  const child = Bun.spawn([executable, ...args], { stdin: 'ignore', stdout: 'ignore', stderr: 'pipe' });
  const [messages, status] = await Promise.all([child.stderr.text(), child.exited]);
  if (status !== 0) throw new Error(`rdpull ${args.join(' ')} ended with ${status}: ${messages}`);
}

/**
 * Pulls a disk image and a tarball again and again into the same directory, attaches or mounts each, and takes that
 * away again.
 *
 * @param url the server with `image.raw.xz` and `tree.tar.xz`
 * @param observe is told after every `every` rounds, and before the first
 */
export async function pullAgainAndAgain(
  {
    executable,
    url,
    directory,
    rounds,
    every,
  }: {
    readonly executable: string;
    readonly url: string;
    readonly directory: string;
    readonly rounds: number;
    readonly every: number;
  },
  observe: (round: number, leftovers: Leftovers) => void,
): Promise<void> {
  const mountPoint = path.join(directory, 'mounted');
  const images = path.join(directory, 'images');
  for (const each of [mountPoint, images]) fs.mkdirSync(each, { recursive: true });
  observe(0, leftovers(directory));
  const pull = ['pull', '--verify=no', '--quiet', '--force', `--image-root=${images}`];
  for (let round = 1; round <= rounds; round++) {
    if (round % 2 === 1) {
      await rdpull(executable, [
        ...pull,
        '--blockdev',
        `--root-link=${directory}/root`,
        `${url}/image.raw.xz`,
      ]);
      await rdpull(executable, ['detach', '--quiet', path.join(images, 'image.raw')]);
    } else {
      await rdpull(executable, [...pull, `--bind=${mountPoint}`, `${url}/tree.tar.xz`]);
      const { exitCode } = Bun.spawnSync(['umount', mountPoint]);
      if (exitCode !== 0) throw new Error(`umount ${mountPoint} ended with ${exitCode}`);
    }
    if (round % every === 0) observe(round, leftovers(directory));
  }
}

function leftovers(directory: string): Leftovers {
  const mine = ['image.raw', 'tree'];
  const below = (parent: string) => (fs.existsSync(parent) ? fs.readdirSync(parent) : []);
  const shared = ['/dev/shm', '/tmp', '/var/tmp'].flatMap(below);
  const isNew = (name: string) => /^(\.?#?rdpull\b(?!-)|lib(lzma|bz2)|bun-)/.test(name);
  return {
    files: below(path.join(directory, 'images')).filter((name) => !mine.includes(name)).length,
    loopDevices: below('/sys/block').filter((name) => backingFile(name).startsWith(directory)).length,
    mounts: fs.readFileSync('/proc/self/mountinfo', 'utf8').split(` ${directory}`).length - 1,
    loopRefs: fs.existsSync(`/run/rdpull/loop-ref${directory}`)
      ? fs.readdirSync(`/run/rdpull/loop-ref${directory}`, { recursive: true }).length
      : 0,
    shared: shared.filter(isNew).length,
    openFiles: Number(fs.readFileSync('/proc/sys/fs/file-nr', 'utf8').split('\t')[0]),
  };
}

function backingFile(name: string): string {
  try {
    return fs.readFileSync(`/sys/block/${name}/loop/backing_file`, 'utf8');
  } catch {
    // No loop device, or not bound.
    return '';
  }
}

/** One pull, whose memory and descriptors are looked at every `interval` milliseconds. */
export async function pullWatched(
  executable: string,
  args: readonly string[],
  interval: number,
): Promise<Sample[]> {
  const child = Bun.spawn([executable, ...args], { stdin: 'ignore', stdout: 'ignore', stderr: 'pipe' });
  const messages = child.stderr.text();
  const begun = performance.now();
  const samples: Sample[] = [];
  while (child.exitCode === null && child.signalCode === null) {
    const sample = sampleOf(child.pid, performance.now() - begun);
    if (sample !== undefined) samples.push(sample);
    await Bun.sleep(interval);
  }
  if (child.exitCode !== 0) throw new Error(`rdpull ${args.join(' ')} failed: ${await messages}`);
  return samples;
}

/** undefined when the process has just ended. */
export function sampleOf(process: number | 'self', at: number): Sample | undefined {
  try {
    const status = fs.readFileSync(`/proc/${process}/status`, 'utf8');
    const bytes = (name: string) =>
      Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024;
    const descriptors = fs.readdirSync(`/proc/${process}/fd`).length;
    const [anonymous, resident] = [bytes('RssAnon'), bytes('VmRSS')];
    return Number.isNaN(resident) ? undefined : { at, anonymous, resident, descriptors };
  } catch {
    return undefined;
  }
}

/**
 * Transfers `count` times within one process of its own.
 *
 * @returns a sample after each
 */
export async function transferAgainAndAgain(
  url: string,
  directory: string,
  count: number,
): Promise<Sample[]> {
  const script = path.join(import.meta.dir, 'soak-transfers.ts');
  const child = Bun.spawn([process.execPath, script, url, directory, String(count)], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'inherit',
  });
  const [lines, status] = await Promise.all([child.stdout.text(), child.exited]);
  if (status !== 0) throw new Error(`soak-transfers.ts ended with ${status}`);
  return lines
    .trim()
    .split('\n')
    .map((line) => {
      const [at = 0, anonymous = 0, resident = 0, descriptors = 0] = line.split(' ').map(Number);
      return { at, anonymous, resident, descriptors };
    });
}

/** How much a figure grows: the mean of the last quarter less that of the second one, when all has warmed up. */
export function growth(samples: readonly Sample[], figure: 'anonymous' | 'resident' | 'descriptors'): number {
  const quarter = Math.floor(samples.length / 4);
  const mean = (some: readonly Sample[]) => some.reduce((sum, each) => sum + each[figure], 0) / some.length;
  return mean(samples.slice(-quarter)) - mean(samples.slice(quarter, 2 * quarter));
}
