import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { lockFile } from '../../src/kernel/file-lock.ts';
import { attachedTo } from '../expose/scratch.ts';
import { finished, rdpull, startRdpull } from '../fixtures/executable.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { run } from '../fixtures/run.ts';
import { type SlowServer, startSlowServer } from '../fixtures/slow-server.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

/** How long the bytes of an image take, in ms: the slow one is still at it when another is started and refused. */
const QUICK = 300;
const SLOW = 4000;

const MIB = 1024 * 1024;

const work = new TemporaryDirectory();
/** By what they serve. */
const servers = new Map<string, SlowServer>();
const image = work.file('image.raw');
let noise: Buffer;
let place: TemporaryDirectory;

beforeAll(async () => {
  noise = noiseOf(4 * 1024 * 1024);
  fs.mkdirSync(work.file('tree/etc'), { recursive: true });
  work.write('tree/etc/noise', noise.subarray(0, MIB));
  const archive = run(['tar', '-cC', work.file('tree'), '.']);
  servers.set('quick', await startSlowServer(noise, QUICK));
  servers.set('slow', await startSlowServer(Buffer.from(noise).reverse(), SLOW));
  servers.set('tree', await startSlowServer(run(['zstd', '-q'], { input: archive }), QUICK));
  servers.set(
    'other',
    await startSlowServer(run(['zstd', '-q'], { input: Buffer.from(noise).reverse() }), QUICK),
  );
  run(['truncate', '-s', '8M', image]);
  run(['sgdisk', '-n', '1:0:+1M', '-n', '2:0:0', image]);
});
afterAll(async () => {
  for (const server of servers.values()) await server[Symbol.asyncDispose]();
  work[Symbol.dispose]();
});
beforeEach(() => {
  place = new TemporaryDirectory();
});
afterEach(() => place[Symbol.dispose]());

const urlOf = (server: string, name: string) => `${servers.get(server)?.url}/${name}`;
const pull = (server: string, name: string, ...args: string[]) => [
  'pull',
  '--verify=no',
  `--image-root=${place.path}`,
  ...args,
  urlOf(server, name),
];

/** Waits until a pull has begun to write. */
async function begun(): Promise<void> {
  const writing = () =>
    place.names().some((name) => name.startsWith('.#') && place.names(name).includes('object'));
  for (const start = performance.now(); !writing(); await Bun.sleep(10)) {
    if (performance.now() - start > 20_000) throw new Error('no pull has begun');
  }
}

describe('pulls at the same time', () => {
  test('20 into one directory: all succeed, and nothing but 20 objects is there', async () => {
    const numbers = Array.from({ length: 20 }, (_, number) => number);
    const outcomes = await Promise.all(
      numbers.map((number) =>
        rdpull(number % 2 === 0 ? pull('quick', `${number}.raw`) : pull('tree', `${number}.tar.zst`)),
      ),
    );
    for (const { status, stderr } of outcomes) expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(outcomes.map(({ stderr }) => stderr).join('')).not.toContain('left behind');
    expect(place.names()).toEqual(numbers.map((n) => (n % 2 === 0 ? `${n}.raw` : `${n}`)).sort());
    for (const number of numbers) {
      const file = place.file(...(number % 2 === 0 ? [`${number}.raw`] : [`${number}`, 'etc/noise']));
      const wanted = number % 2 === 0 ? noise : noise.subarray(0, MIB);
      expect(fs.readFileSync(file).equals(wanted)).toBe(true);
    }
  }, 120_000);

  test.each([[[]], [['--force']]])(
    'of one name, with %p: the second is told at once who is at it, and the first succeeds',
    async (options) => {
      const first = startRdpull(pull('slow', 'image.raw', ...options));
      await begun();
      const second = await rdpull(pull('quick', 'image.raw', ...options));
      expect(first.exitCode).toBeNull();
      expect(second).toMatchObject({ status: 14, stdout: '' });
      expect(second.stderr).toContain(
        `another rdpull (process ${first.pid}) is pulling ${place.file('image.raw')} at this moment`,
      );
      expect(await finished(first)).toMatchObject({ status: 0 });
      expect(place.names()).toEqual(['image.raw']);
      expect(fs.readFileSync(place.file('image.raw')).equals(Buffer.from(noise).reverse())).toBe(true);
    },
  );

  test('8 of one name: one wins, the others get a clear error, nothing is mixed', async () => {
    const outcomes = await Promise.all(
      Array.from({ length: 8 }, (_, number) => rdpull(pull(number === 0 ? 'other' : 'quick', 'x.raw'))),
    );
    const failed = outcomes.filter(({ status }) => status !== 0);
    expect(failed.length).toBe(7);
    for (const { status, stderr } of failed) {
      expect(status).toBe(14);
      expect(stderr).toMatch(/is pulling .*x\.raw at this moment|x\.raw exists already/);
    }
    expect(place.names()).toEqual(['x.raw']);
    const got = fs.readFileSync(place.file('x.raw'));
    expect(got.equals(noise) || got.equals(Buffer.from(noise).reverse())).toBe(true);
  }, 60_000);

  test('what is made in another PID namespace, or under a PID that is used again, stays', async () => {
    const inside = startRdpull(pull('slow', 'inside.raw'), {
      wrapper: ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child'],
    });
    await begun();
    const outside = await rdpull(pull('quick', 'outside.raw'));
    expect(outside).toMatchObject({ status: 0 });
    expect(outside.stderr).not.toContain('left behind');
    expect(place.names()).toEqual(['.#rdpull-inside.raw', 'outside.raw']);
    const second = await rdpull(pull('quick', 'inside.raw'));
    expect(second).toMatchObject({ status: 14 });
    expect(await finished(inside)).toMatchObject({ status: 0 });
    expect(place.names()).toEqual(['inside.raw', 'outside.raw']);
  });

  test('what a killed one has left is removed by the next, of whatever name, which says so', async () => {
    const killed = startRdpull(pull('slow', 'killed.raw'));
    await begun();
    killed.kill('SIGKILL');
    await killed.exited;
    expect(place.names()).toEqual(['.#rdpull-killed.raw']);
    const next = await rdpull(pull('tree', 'other.tar.zst'));
    expect(next).toMatchObject({ status: 0 });
    expect(next.stderr).toContain(
      `warning: removed what an interrupted rdpull left behind: ${place.file('.#rdpull-killed.raw')}\n`,
    );
    expect(place.names()).toEqual(['other']);
  });
});

describe('loop devices at the same time', () => {
  /** Attaches all of them at once; returns the devices. */
  async function attachAll(images: readonly string[]): Promise<string[]> {
    const outcomes = await Promise.all(images.map((each) => rdpull(['attach', each])));
    for (const { status, stderr } of outcomes) expect({ status, stderr }).toMatchObject({ status: 0 });
    return outcomes.map(({ stdout }) => stdout.split('\n')[0] ?? '');
  }

  async function detachAll(devices: readonly string[]): Promise<void> {
    const outcomes = await Promise.all(devices.map((device) => rdpull(['detach', device])));
    for (const { status, stderr } of outcomes) expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(attachedTo(place.path)).toEqual([]);
  }

  test('16 images go to 16 devices, each with its partitions', async () => {
    const images = Array.from({ length: 16 }, (_, number) => {
      fs.copyFileSync(image, place.file(`${number}.raw`));
      return place.file(`${number}.raw`);
    });
    const devices = await attachAll(images);
    expect(new Set(devices).size).toBe(16);
    for (const device of devices) expect(fs.existsSync(`${device}p2`)).toBe(true);
    await detachAll(devices);
  }, 120_000);

  test('one image 16 times goes to 16 devices', async () => {
    fs.copyFileSync(image, place.file('image.raw'));
    const devices = await attachAll(Array<string>(16).fill(place.file('image.raw')));
    expect(new Set(devices).size).toBe(16);
    expect(attachedTo(place.path).sort()).toEqual(devices.toSorted());
    await detachAll(devices);
  }, 120_000);

  test('attaching while the same image is being detached', async () => {
    fs.copyFileSync(image, place.file('image.raw'));
    let [device = ''] = await attachAll([place.file('image.raw')]);
    for (let round = 0; round < 5; round++) {
      const [gone, attached] = await Promise.all([
        rdpull(['detach', device]),
        rdpull(['attach', place.file('image.raw')]),
      ]);
      expect({ round, gone }).toMatchObject({ gone: { status: 0 } });
      expect({ round, attached }).toMatchObject({ attached: { status: 0 } });
      device = attached.stdout.split('\n')[0] ?? '';
      expect(attachedTo(place.path)).toEqual([device]);
      expect(fs.existsSync(`${device}p2`)).toBe(true);
    }
    await detachAll([device]);
  });

  test('attaching once more is told of', async () => {
    fs.copyFileSync(image, place.file('image.raw'));
    const [first = ''] = await attachAll([place.file('image.raw')]);
    const second = await rdpull(['attach', place.file('image.raw')]);
    expect(second.stderr).toContain(`warning: ${place.file('image.raw')} is attached to ${first} already`);
    await detachAll([first, second.stdout.split('\n')[0] ?? '']);
  });

  test.each(['SIGTERM', 'SIGINT'] as const)(
    '%s ends the wait for others who are busy with loop devices',
    async (signal) => {
      fs.copyFileSync(image, place.file('image.raw'));
      const control = fs.openSync('/dev/loop-control', 'r+');
      try {
        expect(await lockFile(control, 20_000)).toBe(true);
        const child = startRdpull(['attach', place.file('image.raw')]);
        // Past the opening of the image, the first thing that can be seen of it.
        await Bun.sleep(700);
        const sent = performance.now();
        child.kill(signal);
        expect(await finished(child)).toMatchObject({ status: undefined, signal, stdout: '' });
        expect(performance.now() - sent).toBeLessThan(5000);
        expect(attachedTo(place.path)).toEqual([]);
        expect(fs.existsSync(`/run/rdpull/loop-ref${place.file('image.raw')}`)).toBe(false);
      } finally {
        fs.closeSync(control);
      }
    },
  );
});

describe('what a killed run has attached or mounted', () => {
  test('is used by the next that finds the image there, and told', async () => {
    fs.copyFileSync(image, place.file('image.raw'));
    const args = pull('quick', 'image.raw', '--keep', '--blockdev');
    const first = await rdpull(args);
    const second = await rdpull(args);
    expect(second.stdout).toBe(first.stdout);
    const [device = ''] = attachedTo(place.path);
    expect(second.stderr).toContain(`${place.file('image.raw')} is attached to ${device} already`);
    // Not the same: this one can be written to.
    const readOnly = await rdpull([...args, '--read-only']);
    expect(attachedTo(place.path)).toHaveLength(2);
    for (const { stdout } of [first, readOnly]) await rdpull(['detach', stdout.split('\n')[1] ?? '']);
    expect(attachedTo(place.path)).toEqual([]);
  });

  test('is not mounted twice', async () => {
    fs.mkdirSync(place.file('mnt'));
    const args = pull('tree', 'tree.tar.zst', '--keep', `--bind=${place.file('mnt')}`);
    const mounts = () =>
      fs.readFileSync('/proc/self/mountinfo', 'utf8').split(` ${place.file('mnt')} `).length - 1;
    try {
      expect((await rdpull(args)).status).toBe(0);
      const second = await rdpull([...args, '--read-only']);
      expect(second).toMatchObject({ status: 0 });
      expect(second.stderr).toContain('is mounted on');
      expect(mounts()).toBe(1);
      expect(() => fs.writeFileSync(place.file('mnt/new'), '')).toThrow('EROFS');
    } finally {
      while (mounts() > 0) run(['umount', place.file('mnt')]);
    }
  });
});
