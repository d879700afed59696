import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { attachedTo } from '../expose/scratch.ts';
import { type Finished, finished, rdpull, startRdpull } from '../fixtures/executable.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { run } from '../fixtures/run.ts';
import { type SlowServer, startSlowServer } from '../fixtures/slow-server.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { SeededRandom } from '../request/seeded-random.ts';

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGKILL'] as const;

/** Points in time for each signal and each kind of run: 54 in all. RDPULL_CRASH_POINTS=50 makes it 450. */
const POINTS = Number(process.env['RDPULL_CRASH_POINTS'] ?? 6);

/** How long the bytes of an image take, in ms. */
const SLOW = 150;

const ROOT_TYPE = process.arch === 'arm64' ? '8305' : '8304';

const work = new TemporaryDirectory();
const image = work.file('disk.raw');
const servers: SlowServer[] = [];
let rawUrl = '';
let tarUrl = '';
let listing = '';

beforeAll(async () => {
  run(['truncate', '-s', '12M', image]);
  run(['sgdisk', '-n', '1:0:+1M', '-t', '1:ef00', '-n', '2:0:0', '-t', `2:${ROOT_TYPE}`, image]);
  run(['dd', 'if=/dev/urandom', `of=${image}`, 'bs=1M', 'seek=4', 'count=4', 'conv=notrunc', 'status=none']);

  const tree = work.file('tree');
  for (let directory = 0; directory < 10; directory++) {
    fs.mkdirSync(`${tree}/usr/lib/${directory}`, { recursive: true });
    for (let file = 0; file < 10; file++) {
      fs.writeFileSync(`${tree}/usr/lib/${directory}/${file}`, noiseOf(5000, directory * 10 + file));
    }
  }
  fs.chmodSync(`${tree}/usr/lib/0/0`, 0o4755);
  listing = listed(tree);
  const archive = run(['tar', '-cC', tree, '.']);

  servers.push(await startSlowServer(run(['xz', '-0c', image]), SLOW));
  servers.push(await startSlowServer(run(['zstd', '-q'], { input: archive }), SLOW));
  rawUrl = `${servers[0]?.url}/disk.raw.xz`;
  tarUrl = `${servers[1]?.url}/tree.tar.zst`;
}, 60_000);
afterAll(async () => {
  for (const server of servers) await server[Symbol.asyncDispose]();
  work[Symbol.dispose]();
});

/** Modes, sizes, names and contents below a directory. */
function listed(directory: string): string {
  const names = run(['find', '.', '-printf', '%m %y %p\n'], { cwd: directory }).toString();
  const sums = run(['sh', '-c', 'find . -type f -exec sha256sum {} +'], { cwd: directory }).toString();
  return `${names}${sums}`.split('\n').sort().join('\n');
}

function mountedBelow(directory: string): string[] {
  return fs
    .readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .flatMap((line) => line.split(' ')[4] ?? [])
    .filter((mountPoint) => mountPoint.startsWith(`${directory}/`));
}

/** Waits until the kernel has taken back what belonged to a dead process. */
async function until(condition: () => boolean): Promise<boolean> {
  for (const begun = performance.now(); !condition(); await Bun.sleep(10)) {
    if (performance.now() - begun > 5000) return false;
  }
  return true;
}

interface Kind {
  readonly name: string;
  /** The arguments of the run that is interrupted, and of the one after it. */
  args(place: TemporaryDirectory): string[];
  /** After the interrupted run: nothing that can be seen is half. Returns whether it came to its end. */
  requireNoHalf(place: TemporaryDirectory): void;
  /** After the next run: all of it is there, and nothing else. */
  requireWhole(place: TemporaryDirectory): void;
  /** What a run that has ended by a caught signal may have made visible; everything else must be gone. */
  readonly complete: readonly string[];
}

const sameImage = (path: string) => run(['cmp', image, path]);

const KINDS: readonly Kind[] = [
  {
    name: 'a pull that attaches a disk image',
    args: (place) => [
      'pull',
      '--verify=no',
      '--keep',
      '--blockdev',
      `--root-link=${place.file('root')}`,
      `--image-root=${place.path}`,
      rawUrl,
    ],
    complete: ['disk.raw'],
    requireNoHalf(place) {
      if (fs.existsSync(place.file('disk.raw'))) sameImage(place.file('disk.raw'));
    },
    requireWhole(place) {
      sameImage(place.file('disk.raw'));
      const [device, ...others] = attachedTo(place.path);
      expect(others).toEqual([]);
      expect(place.names()).toEqual(['disk.raw', 'mnt', 'root']);
      expect(fs.readlinkSync(place.file('root'))).toBe(`${device}p2`);
    },
  },
  {
    name: 'a pull that unpacks and mounts a tree',
    args: (place) => [
      'pull',
      '--verify=no',
      '--keep',
      `--bind=${place.file('mnt')}`,
      `--image-root=${place.path}`,
      tarUrl,
    ],
    complete: ['tree'],
    requireNoHalf(place) {
      if (fs.existsSync(place.file('tree'))) expect(listed(place.file('tree'))).toBe(listing);
    },
    requireWhole(place) {
      expect(place.names()).toEqual(['mnt', 'tree']);
      expect(mountedBelow(place.path)).toEqual([place.file('mnt')]);
      expect(listed(place.file('mnt'))).toBe(listing);
    },
  },
  {
    name: 'attaching',
    args: (place) => {
      if (!fs.existsSync(place.file('disk.raw'))) fs.copyFileSync(image, place.file('disk.raw'));
      return ['attach', place.file('disk.raw')];
    },
    complete: ['disk.raw'],
    requireNoHalf: (place) => void sameImage(place.file('disk.raw')),
    requireWhole(place) {
      // One of an interrupted run stays, when that was over but for saying so; the next one tells.
      const devices = attachedTo(place.path);
      expect([1, 2]).toContain(devices.length);
      for (const device of devices) expect(fs.existsSync(`${device}p2`)).toBe(true);
      expect(place.names()).toEqual(['disk.raw', 'mnt']);
    },
  },
];

/** Takes away what a run has made, the usual way. */
async function takeAway(place: TemporaryDirectory): Promise<void> {
  for (const mountPoint of mountedBelow(place.path)) run(['umount', mountPoint]);
  for (const _ of attachedTo(place.path)) {
    const { status, stderr } = await rdpull(['detach', place.file('disk.raw')]);
    expect({ status, stderr }).toMatchObject({ status: 0 });
  }
  expect(attachedTo(place.path)).toEqual([]);
  expect(fs.existsSync(`/run/rdpull/loop-ref${place.file('disk.raw')}`)).toBe(false);
}

function summary({ status, signal, stderr }: Finished): string {
  return `${status ?? signal}: ${stderr}`;
}

describe.each(KINDS)('$name', ({ args, complete, requireNoHalf, requireWhole }) => {
  test.each(SIGNALS)(
    'may be ended by %s at any moment: nothing half is seen, and the next run is whole',
    async (signal) => {
      const random = new SeededRandom(Date.now() & 0xffffffff);
      let longest = SLOW;
      for (let point = 0; point <= POINTS; point++) {
        const place = new TemporaryDirectory();
        try {
          fs.mkdirSync(place.file('mnt'));
          const child = startRdpull(args(place));
          const begun = performance.now();
          // The first one comes to its end, which tells how long a run takes.
          const delay = point === 0 ? undefined : (random.below(1001) / 1000) * longest * 1.1;
          if (delay !== undefined) {
            await Bun.sleep(delay);
            child.kill(signal);
          }
          const outcome = await finished(child);
          if (delay === undefined) longest = performance.now() - begun;
          const where = `${signal} after ${delay?.toFixed(1)} of ${longest.toFixed(1)} ms, ${summary(outcome)}`;

          // The result is the last thing that is printed: then the signal came too late.
          if (outcome.status === 0 || outcome.stdout !== '') {
            requireWhole(place);
          } else {
            expect(`${outcome.signal}`, where).toBe(signal);
            requireNoHalf(place);
            if (signal !== 'SIGKILL') {
              const allowed = [...complete, 'mnt'];
              expect(
                place.names().filter((name) => !allowed.includes(name)),
                where,
              ).toEqual([]);
              expect(mountedBelow(place.path), where).toEqual([]);
              expect(await until(() => attachedTo(place.path).length === 0), where).toBe(true);
            }
          }
          const next = await rdpull(args(place));
          expect(next.status, `${where}; then ${summary(next)}`).toBe(0);
          requireWhole(place);
          await takeAway(place);
        } finally {
          for (const mountPoint of mountedBelow(place.path)) run(['umount', '-l', mountPoint]);
          for (const device of attachedTo(place.path)) run(['losetup', '-d', device]);
          place[Symbol.dispose]();
        }
      }
    },
    120_000 + POINTS * 5000,
  );
});
