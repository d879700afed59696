import { describe, expect, test } from 'bun:test';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { type FuseFile, openFuseFile } from '../../../src/on-demand/fuse/fuse-file.ts';
import { TemporaryDirectory } from '../../fixtures/temporary-directory.ts';
import { SeededRandom } from '../../request/seeded-random.ts';
import { FetchedImage } from '../fetched-image.ts';

const PATH = '/run/machines/root.raw';
const KIB = 1024;

function randomBytes(size: number): Buffer {
  const random = new SeededRandom(size);
  return Buffer.from(Uint8Array.from({ length: size }, () => random.below(256)));
}

/** Where other processes open the file. */
function placeOf({ fd }: FuseFile): string {
  return `/proc/${process.pid}/fd/${fd}`;
}

/** What another program reads of the file, once; this thread can do nothing meanwhile. */
function readBySync(file: FuseFile, offset: number, length: number, size = '64K'): Buffer {
  const arguments_ = [`if=${placeOf(file)}`, `skip=${offset}`, `count=${length}`];
  const { stdout, status, signal } = spawnSync(
    'dd',
    [...arguments_, 'iflag=skip_bytes,count_bytes,direct', `bs=${size}`, 'status=none'],
    { timeout: 20_000 },
  );
  expect([status, signal]).toEqual([0, null]);
  return stdout;
}

/** The same, and this thread goes on: its output, and why it failed. */
async function readBy(file: FuseFile, offset: number, length: number) {
  const arguments_ = [`if=${placeOf(file)}`, `skip=${offset}`, `count=${length}`];
  const reader = spawn('dd', [...arguments_, 'iflag=skip_bytes,count_bytes,direct', 'bs=64K', 'status=none']);
  const output: Buffer[] = [];
  let errors = '';
  reader.stdout.on('data', (chunk: Buffer) => output.push(chunk));
  reader.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  await once(reader, 'close');
  return { bytes: Buffer.concat(output), errors };
}

describe('a file of a cache', () => {
  test('has the bytes that come when they are wanted, to a last one that ends no page', async () => {
    using directory = new TemporaryDirectory();
    using image = new FetchedImage(directory, randomBytes(300 * KIB + 123));
    await using file = await openFuseFile(image.cache, image.want, { path: PATH });
    expect(fs.fstatSync(file.fd).size).toBe(300 * KIB + 123);
    expect(fs.readlinkSync(placeOf(file))).toBe(PATH);
    const { bytes, errors } = await readBy(file, 0, 400 * KIB);
    expect(errors).toBe('');
    expect(bytes.equals(image.bytes)).toBe(true);
    const count = image.wanted.length;
    expect(count).toBeGreaterThan(0);
    expect((await readBy(file, 4096, 8192)).bytes.equals(image.bytes.subarray(4096, 12288))).toBe(true);
    expect((await readBy(file, 300 * KIB + 512, 512)).bytes.length).toBe(0);
    expect(image.wanted.length).toBe(count);
  });

  test('is answered where it is there, whatever the main thread does', async () => {
    using directory = new TemporaryDirectory();
    using image = new FetchedImage(directory, randomBytes(256 * KIB));
    image.put();
    await using file = await openFuseFile(image.cache, image.want, { path: PATH });
    expect(readBySync(file, 0, 256 * KIB).equals(image.bytes)).toBe(true);
    expect(image.wanted).toEqual([]);
  });

  test('takes no room for holes, though they are read', async () => {
    using directory = new TemporaryDirectory();
    // A tmpfs, where it matters.
    spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', directory.path]);
    try {
      using image = new FetchedImage(directory, Buffer.alloc(1024 * KIB));
      randomBytes(300 * KIB).copy(image.bytes, 100 * KIB);
      image.put(100 * KIB, 300 * KIB);
      image.cache.present.set(0, 1024 * KIB);
      const { blocks } = fs.fstatSync(image.cache.fd);
      expect(blocks).toBe((300 * KIB) / 512);
      await using file = await openFuseFile(image.cache, image.want, { path: PATH });
      for (const size of ['4K', '64K', '1M']) {
        expect(readBySync(file, 0, 1024 * KIB, size).equals(image.bytes)).toBe(true);
      }
      expect(fs.fstatSync(image.cache.fd).blocks).toBe(blocks);
    } finally {
      spawnSync('umount', ['-l', directory.path]);
    }
  });

  test('fails where the bytes cannot be had, and there only; the next reader asks again', async () => {
    using directory = new TemporaryDirectory();
    using image = new FetchedImage(directory, randomBytes(256 * KIB));
    let isAway = true;
    image.before = async (offset) => {
      if (isAway && offset >= 128 * KIB) throw new Error('the server is away');
    };
    await using file = await openFuseFile(image.cache, image.want, { path: PATH });
    const failed = await readBy(file, 0, 256 * KIB);
    expect(failed.errors).toContain('Input/output error');
    expect(failed.bytes.equals(image.bytes.subarray(0, 128 * KIB))).toBe(true);
    isAway = false;
    expect((await readBy(file, 0, 256 * KIB)).bytes.equals(image.bytes)).toBe(true);
  });

  test('a reader that waits for bytes that never come can be ended', async () => {
    using directory = new TemporaryDirectory();
    using image = new FetchedImage(directory, randomBytes(64 * KIB));
    image.before = () => new Promise(() => undefined);
    await using file = await openFuseFile(image.cache, image.want, { path: PATH });
    const reader = spawn('dd', [`if=${placeOf(file)}`, 'of=/dev/null', 'bs=4K', 'count=1'], {
      stdio: 'ignore',
    });
    while (image.wanted.length === 0) await Bun.sleep(5);
    reader.kill();
    expect(await once(reader, 'exit')).toEqual([null, 'SIGTERM']);
  });
});

describe('its end', () => {
  function descriptors(): number {
    return fs.readdirSync('/proc/self/fd').length;
  }

  /** The runtime closes the event loop of a thread a moment after the thread has ended. */
  async function expectDescriptors(count: number): Promise<void> {
    let open = descriptors();
    for (let tries = 0; tries < 100 && open !== count; tries++) {
      await Bun.sleep(20);
      open = descriptors();
    }
    expect(open).toBe(count);
  }

  /** Those that stay: of the thread of the test before, some may not have been closed yet. */
  async function settledDescriptors(): Promise<number> {
    for (let last = descriptors(); ; ) {
      await Bun.sleep(200);
      const open = descriptors();
      if (open === last) return open;
      last = open;
    }
  }

  test('comes when nobody has it any more, and leaves nothing open or mounted', async () => {
    using directory = new TemporaryDirectory();
    using image = new FetchedImage(directory, randomBytes(64 * KIB));
    const before = await settledDescriptors();
    const mounts = fs.readFileSync('/proc/self/mountinfo', 'utf8');
    const file = await openFuseFile(image.cache, image.want, { path: PATH });
    expect(fs.readFileSync('/proc/self/mountinfo', 'utf8')).toBe(mounts);
    const other = fs.openSync(placeOf(file), 'r');
    let hasEnded = false;
    void file.ended.then(() => {
      hasEnded = true;
    });
    file.release();
    await Bun.sleep(50);
    expect(hasEnded).toBe(false);
    fs.closeSync(other);
    await file.ended;
    await expectDescriptors(before);
    await file[Symbol.asyncDispose]();
  });

  test('can be brought about: who reads it gets an error', async () => {
    using directory = new TemporaryDirectory();
    using image = new FetchedImage(directory, randomBytes(64 * KIB));
    image.before = () => new Promise(() => undefined);
    const before = await settledDescriptors();
    const file = await openFuseFile(image.cache, image.want, { path: PATH });
    const reading = readBy(file, 0, 4096);
    while (image.wanted.length === 0) await Bun.sleep(5);
    await file[Symbol.asyncDispose]();
    expect((await reading).errors).toMatch(/Software caused connection abort|not connected|Input\/output/);
    await expectDescriptors(before);
  });

  test('of the process, by SIGKILL, ends with it: readers get an error, and it is gone', async () => {
    using directory = new TemporaryDirectory();
    fs.writeFileSync(directory.file('agent.ts'), agent(directory));
    const child = spawn(process.execPath, [directory.file('agent.ts')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    const reader = spawn('dd', [
      `if=/proc/${child.pid}/fd/${line.toString().trim()}`,
      'of=/dev/null',
      'bs=4K',
    ]);
    let errors = '';
    reader.stderr.on('data', (chunk: Buffer) => {
      errors += chunk.toString();
    });
    await once(child.stdout, 'data');
    const closed = once(reader, 'close');
    child.kill('SIGKILL');
    expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);
    await closed;
    expect(errors).toMatch(/error reading/);
  });

  /** A process of its own that waits for ever for what is read: prints the descriptor, then what was wanted. */
  function agent(directory: TemporaryDirectory): string {
    const source = (name: string) =>
      JSON.stringify(path.resolve(import.meta.dir, '../../../src/on-demand', name));
    return `
      import fs from 'node:fs';
      import { ImageCache } from ${source('cache/image-cache.ts')};
      import { openFuseFile } from ${source('fuse/fuse-file.ts')};
      const cache = ImageCache.open(fs.openSync(${JSON.stringify(directory.file('cache'))}, 'w+'), 65536);
      const want = (offset) => new Promise(() => console.log('wanted', offset));
      const file = await openFuseFile(cache, want, { path: '/root.raw' });
      console.log(file.fd);
    `;
  }
});

test('is made however long the kernel takes to mount it', () => {
  using directory = new TemporaryDirectory();
  const source = (name: string) =>
    JSON.stringify(path.resolve(import.meta.dir, '../../../src/on-demand', name));
  const script = `
    import fs from 'node:fs';
    import { ImageCache } from ${source('cache/image-cache.ts')};
    import { openFuseFile } from ${source('fuse/fuse-file.ts')};
    const cache = ImageCache.open(fs.openSync(${JSON.stringify(directory.file('cache'))}, 'w+'), 65536);
    await using file = await openFuseFile(cache, async () => {}, { path: '/root.raw' });
    console.log(fs.fstatSync(file.fd).size);`;
  const { stdout, stderr } = spawnSync(
    'strace',
    [
      ...['-f', '-qq', '-o', directory.file('trace'), '-e', 'trace=fsopen'],
      ...['-e', 'inject=fsopen:delay_enter=500ms', process.execPath, '-e', script],
    ],
    { encoding: 'utf8', timeout: 20_000 },
  );
  expect({ stdout, stderr }).toEqual({ stdout: '65536\n', stderr: '' });
});

test('a system without FUSE is told so, and keeps nothing', () => {
  const script = `
    const { openFuseFile } = await import(${JSON.stringify(path.resolve(import.meta.dir, '../../../src/on-demand/fuse/fuse-file.ts'))});
    try { await openFuseFile({ fd: 0, size: 1, present: { bits: new SharedArrayBuffer(4) } }, async () => {}, { path: '/a' }); }
    catch (error) { console.log(error.code + ': ' + error.message); }`;
  const { stdout } = spawnSync(
    'unshare',
    [
      '--mount',
      'sh',
      '-c',
      'mount --bind /dev/null /dev/fuse && exec "$0" -e "$1"',
      process.execPath,
      script,
    ],
    { encoding: 'utf8', timeout: 20_000 },
  );
  expect(stdout).toBe(
    'fuse-missing: this system has no FUSE, by which an image is attached that is not all there: /dev/fuse is not there\n',
  );
});
