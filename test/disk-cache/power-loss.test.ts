import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { makeChunks } from '../chunks/chunked-image.ts';
import { CachingMachine, digestOf } from '../fixtures/caching-machine.ts';
import type { Running } from '../fixtures/executable.ts';
import { MountedFileSystem } from '../fixtures/mounted-file-system.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { run } from '../fixtures/run.ts';
import { publishAsOf } from '../fixtures/served-image.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { startWebServer, type WebServer } from '../fixtures/web-server.ts';

const MIB = 1024 * 1024;
const nobody = (how: Serving) => `http://127.0.0.1:9/${nameOf(how)}`;
/** Blows at one cache, after each other. */
const BLOWS = 6;
const LOSSES = 5;

/**
 * How an image is served: whole, which is kept while it arrives, or in chunks, which is kept when it is complete.
 */
type Serving = 'whole' | 'in chunks';
const SERVINGS: readonly Serving[] = ['whole', 'in chunks'];
/** How long an image of this size is being kept, or a little longer, in ms. */
const MOMENTS = { whole: 60, 'in chunks': 25 } as const;

let served: TemporaryDirectory;
let server: WebServer;
/** What was served at any time. */
const known = new Set<string>();

beforeAll(() => {
  served = new TemporaryDirectory();
  server = startWebServer(served.path);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  served[Symbol.dispose]();
});

function publish(day: number, how: Serving = 'whole'): void {
  const content = noiseOf(8 * MIB, known.size);
  known.add(digestOf(content));
  using work = new TemporaryDirectory();
  const image = (how === 'whole' ? served : work).write('image.raw', content);
  if (how === 'in chunks') makeChunks(served.path, 'image', image, { chunkSize: 262_144 });
  publishAsOf(served, nameOf(how), day);
}

const nameOf = (how: Serving) => (how === 'whole' ? 'image.raw' : 'image.caibx');
const pull = (how: Serving = 'whole') => ['--verify=checksum', `${server.url}/${nameOf(how)}`];

/**
 * ioctl(2), fs/ext4/ext4.h: EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH, which is what xfstests takes the power with: neither the journal nor
 * what is in memory gets to the disk. Needs no device mapper (dm-flakey, dm-log-writes), which not every kernel has. What it does not show
 * is a disk that loses or mixes up what it has said to have written.
 */
const POWER_OFF =
  "import fcntl, os, struct, sys; fd = os.open(sys.argv[1], 0); print(flush=True); sys.stdin.read(); fcntl.ioctl(fd, 0x8004587d, struct.pack('I', 2))";

/**
 * Makes ready to take the power: an image is kept in less time than a process takes to start.
 *
 * @returns what takes it: all that is not on the disk at that moment is lost, and every access fails from then on
 */
async function beforePowerLoss({ path: mountPoint }: MountedFileSystem): Promise<() => Promise<void>> {
  const child = Bun.spawn(['python3', '-c', POWER_OFF, mountPoint], { stdin: 'pipe', stdout: 'pipe' });
  await child.stdout.getReader().read();
  return async () => {
    await child.stdin.end();
    expect(await child.exited).toBe(0);
  };
}

/** After a restart, the file system no longer knows what this directory is. */
function damage(disk: MountedFileSystem, directory: string): void {
  disk.restart((file) => run(['debugfs', '-w', '-R', `clri ${directory}`, file]));
}

/** Waits until the image is being written into the cache. */
async function untilWriting({ cache }: CachingMachine, child: Running): Promise<void> {
  const at = path.join(cache, 'machines/image.raw.v/.#rdpull-image');
  while (child.exitCode === null && !fs.existsSync(at)) await Bun.sleep(1);
}

/** The next boot has no server: it comes to an image that was served, and finds nothing half-written. */
async function expectUsable(machine: CachingMachine, how: Serving): Promise<void> {
  const { image, stderr, status } = await machine.boot('--verify=checksum', nobody(how));
  expect({ status, stderr }).toEqual({ status: 0, stderr });
  expect(known.has(image ?? '')).toBe(true);
  expect(machine.files().filter((name) => path.basename(name).startsWith('.#'))).toEqual([]);
  const { status: verified, stdout } = await machine.rdpull('cache', 'verify', `--cache=${machine.cache}`);
  expect({ verified, stdout }).toEqual({ verified: 0, stdout });
}

describe('a cache', () => {
  test.each(SERVINGS)(
    `holds a good image after rdpull was killed at any time, ${BLOWS} times; served %s`,
    async (how) => {
      using machine = new CachingMachine();
      publish(1, how);
      await machine.boot(...pull(how));
      machine.comeUp();
      let killed = 0;
      for (let blow = 0; blow < BLOWS; blow++) {
        publish(2 + blow, how);
        const child = machine.start(...pull(how));
        await untilWriting(machine, child);
        // While the bytes arrive, while they are made to last, and while they get their name.
        await Bun.sleep((MOMENTS[how] * blow) / BLOWS);
        child.kill('SIGKILL');
        await child.exited;
        if (child.signalCode === 'SIGKILL') killed++;
        await expectUsable(machine, how);
      }
      expect(killed).toBeGreaterThan(0);
    },
  );

  test.each(SERVINGS)(
    `holds a good image after its disk has lost the power at any time, ${LOSSES} times, which costs the pull a line; served %s`,
    async (how) => {
      using disk = new MountedFileSystem('ext4', 64);
      using machine = new CachingMachine(disk.path);
      publish(1, how);
      await machine.boot(...pull(how));
      machine.comeUp();
      let lost = 0;
      for (let loss = 0; loss < LOSSES; loss++) {
        publish(2 + loss, how);
        const losePower = await beforePowerLoss(disk);
        const child = machine.start(...pull(how));
        const stderr = child.stderr.text();
        await untilWriting(machine, child);
        // The first as soon as it is written to, the others later and later.
        await Bun.sleep((MOMENTS[how] * loss) / LOSSES);
        await losePower();
        const status = await child.exited;
        expect({ status, stderr: await stderr }).toEqual({ status: 0, stderr: await stderr });
        if ((await stderr).includes('warning: the image is not kept: ')) lost++;
        disk.restart();
        await expectUsable(machine, how);
      }
      expect(lost).toBeGreaterThan(0);
    },
  );

  test('whose file system is damaged costs a line', async () => {
    using disk = new MountedFileSystem('ext4', 64);
    using machine = new CachingMachine(disk.path);
    publish(1);
    await machine.boot(...pull());
    damage(disk, 'machines/image.raw.v');
    const { status, stderr } = await machine.boot(...pull());
    expect({ status, stderr }).toEqual({ status: 0, stderr });
    expect(stderr).toMatch(
      /warning: the cache \S+ cannot be used: EUCLEAN: the file system is damaged: check it with fsck; the image is pulled without it\n/,
    );
  });

  test('that is full, or read-only, costs a line; what worked is used from the latter', async () => {
    using disk = new MountedFileSystem('ext4', 64);
    using machine = new CachingMachine(disk.path);
    publish(1);
    await machine.boot(...pull());
    machine.comeUp();
    publish(2);
    const filler = path.join(disk.path, 'filler');
    const { bavail, bsize } = fs.statfsSync(disk.path);
    run(['fallocate', '-l', String(bavail * bsize - 6 * MIB), filler]);
    const full = await machine.boot(...pull());
    expect(full).toMatchObject({ status: 0, cache: { reused: 0 } });
    expect(full.stderr).toMatch(
      /warning: the image is not kept: the cache .* has no room for 8\.0 MiB: .* of its file system are free, and 8\.0 MiB of the 8\.0 MiB in it have to stay\n/,
    );
    fs.rmSync(filler);

    run(['mount', '-o', 'remount,ro', disk.path]);
    const readOnly = await machine.boot(...pull());
    expect(readOnly).toMatchObject({ status: 0, cache: { reused: 0 } });
    expect(readOnly.stderr).toContain('is read-only: images that worked are used, and none is kept');
    expect((await machine.boot('--verify=checksum', nobody('whole'))).cache).toMatchObject({ fetched: 0 });
    expect(machine.files()).toHaveLength(3);
  });
});
