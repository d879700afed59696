import { describe, expect, test } from 'bun:test';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { detachLoopDevice } from '../../../src/expose/loop-detach.ts';
import { attachOnDemand } from '../../../src/on-demand/device/on-demand-device.ts';
import { openFuseFile } from '../../../src/on-demand/fuse/fuse-file.ts';
import { TemporaryDirectory } from '../../fixtures/temporary-directory.ts';
import { SeededRandom } from '../../request/seeded-random.ts';
import { FetchedImage } from '../fetched-image.ts';
import { bareImage, runProgram } from './images.ts';

const KIB = 1024;
const SOURCE = path.resolve(import.meta.dir, '../../../src/on-demand');

describe('20 readers at once', () => {
  for (const rest of [0, 512, 4096 + 300]) {
    test(`get the bytes of the image (${rest} beyond whole MiB), while pieces are late, in any order, or fail`, async () => {
      const start = await bareImage('squashfs');
      const size = Math.ceil(start.length / (KIB * KIB)) * KIB * KIB + rest;
      const random = new SeededRandom(20);
      const bytes = Buffer.concat([start, Buffer.alloc(size - start.length, 'end of it')]);
      using directory = new TemporaryDirectory();
      using image = new FetchedImage(directory, bytes);
      const original = directory.write('original', bytes);
      let rejected = 0;
      image.before = async (offset) => {
        await Bun.sleep(random.below(12));
        if (offset < 64 * KIB || random.below(2) > 0) return;
        rejected++;
        throw new Error('the connection is lost');
      };
      await using file = await openFuseFile(image.cache, image.want, { path: '/run/machines/root.raw' });
      const device = await attachOnDemand(file, image.cache, { want: image.want, warn: () => undefined });
      try {
        const script = path.join(import.meta.dir, 'random-reads.py');
        const output = await runProgram('python3', script, device.device, original, '20', '15', '1');
        const [, read, failed, failures] = /^(\d+) (\d+) (.*)\n$/.exec(output) ?? [];
        expect(failures).toBe('[]');
        expect(Number(read)).toBe(300);
        expect(rejected).toBeGreaterThan(0);
        expect(Number(failed)).toBeGreaterThan(0);
      } finally {
        await device.detach();
      }
    }, 60_000);
  }
});

/** A process of its own that attaches an image, and brings each page of it 1 ms after it is wanted, but those of the last MiB never. */
const AGENT = `
  import fs from 'node:fs';
  import { ImageCache } from ${JSON.stringify(`${SOURCE}/cache/image-cache.ts`)};
  import { attachOnDemand } from ${JSON.stringify(`${SOURCE}/device/on-demand-device.ts`)};
  import { openFuseFile } from ${JSON.stringify(`${SOURCE}/fuse/fuse-file.ts`)};
  const [original, place] = process.argv.slice(2);
  const bytes = fs.readFileSync(original);
  const cache = ImageCache.open(fs.openSync(place, 'w+'), bytes.length);
  async function want(offset, length) {
    if (offset + length > bytes.length - 1048576) { console.log('never'); await new Promise(() => {}); }
    await Bun.sleep(1);
    const start = offset - offset % 4096;
    const end = Math.min(Math.ceil((offset + length) / 4096) * 4096, bytes.length);
    fs.writeSync(cache.fd, bytes, start, end - start, start);
    cache.present.set(start, end - start);
  }
  const file = await openFuseFile(cache, want, { path: place });
  const { device } = await attachOnDemand(file, cache, { want, warn: console.log });
  console.log(device);
`;

async function startAgent(directory: TemporaryDirectory) {
  const start = await bareImage('squashfs');
  const original = directory.write('original', Buffer.concat([start, Buffer.alloc(3 * KIB * KIB)]));
  const script = directory.write('agent.ts', AGENT);
  const child = spawn(process.execPath, [script, original, directory.file('root.raw')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => String((await lines.next()).value);
  return { child, end: Math.floor(fs.statSync(original).size / 4096), next, device: await next() };
}

function readDevice(device: string, count: number, skip = 0): ChildProcess {
  const arguments_ = [
    `if=${device}`,
    'bs=4K',
    `count=${count}`,
    `skip=${skip}`,
    'iflag=direct',
    'status=none',
  ];
  return spawn('dd', [...arguments_, 'of=/dev/null'], { stdio: ['ignore', 'ignore', 'pipe'] });
}

describe('the process that answers', () => {
  test('may be stopped: readers wait, and go on', async () => {
    using directory = new TemporaryDirectory();
    const { child, device } = await startAgent(directory);
    child.kill('SIGSTOP');
    const reader = readDevice(device, 20, 30);
    const closed = once(reader, 'close');
    await Bun.sleep(500);
    expect(reader.exitCode).toBeNull();
    child.kill('SIGCONT');
    expect(await closed).toEqual([0, null]);
    expect(await detachLoopDevice(device)).toMatchObject({ device });
    // Nobody has the file any more, and nothing else is to be done.
    expect(await once(child, 'exit')).toEqual([0, null]);
  }, 30_000);

  test('may be killed: who reads gets EIO, nothing hangs, and the device is detached as any other', async () => {
    using directory = new TemporaryDirectory();
    const { child, device, end, next } = await startAgent(directory);
    fs.mkdirSync(directory.file('mnt'));
    // With its type, or mount(8) looks for others, at the end of the device as well.
    await runProgram('mount', '-t', 'squashfs', '-o', 'ro', `${device}p1`, directory.file('mnt'));
    const reader = readDevice(device, 8, end - 8);
    let errors = '';
    reader.stderr?.on('data', (chunk: Buffer) => {
      errors += chunk.toString();
    });
    const closed = once(reader, 'close');
    expect(await next()).toBe('never');
    child.kill('SIGKILL');
    expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);
    expect(await closed).toEqual([1, null]);
    expect(errors).toContain('Input/output error');
    await runProgram('umount', directory.file('mnt'));
    expect(await detachLoopDevice(device)).toMatchObject({ device });
    expect(fs.existsSync(`${device}p1`)).toBe(false);
  }, 30_000);
});
