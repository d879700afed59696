import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { seekableZstd } from '../blocks/seekable-zstd.ts';
import { chunksOf, makeChunks } from '../chunks/chunked-image.ts';
import {
  type Finished,
  RDPULL,
  type Running,
  type RunOptions,
  rdpull,
  startRdpull,
} from '../fixtures/executable.ts';
import { GpgHome } from '../fixtures/gpg.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { NotifyServer } from '../fixtures/notify-server.ts';
import { RangeServer } from '../fixtures/range-server.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { startWebServer } from '../fixtures/web-server.ts';

const MIB = 1024 * 1024;
const ROOT = '4f68bce3-e8cd-4db1-96e7-fbcaf984b709';

const site = new TemporaryDirectory();
/** Directories of images, mount points. */
const places: TemporaryDirectory[] = [];
let image: Buffer;
/** What is in the image. */
let files: ReadonlyMap<string, Buffer>;

beforeAll(() => {
  const tree = path.join(site.path, '.tree');
  fs.mkdirSync(path.join(tree, 'etc'), { recursive: true });
  const content = new Map<string, Buffer>();
  for (let number = 0; number < 12; number++) {
    // Half of it can be packed.
    const noise = noiseOf(MIB / 2, number);
    content.set(`file-${number}`, Buffer.concat([noise, Buffer.alloc(MIB / 2, `${number} `)]));
  }
  content.set('etc/os-release', Buffer.from('ID=on-demand\n'));
  for (const [name, bytes] of content) fs.writeFileSync(path.join(tree, name), bytes);
  files = content;
  const fileSystem = path.join(site.path, '.ext4');
  run(['truncate', '-s', '24M', fileSystem]);
  run(['mkfs.ext4', '-q', '-d', tree, fileSystem]);
  image = inTable(fs.readFileSync(fileSystem));
  const raw = site.write('image.raw', image);
  run(['xz', '-0', '-k', '-T2', '--block-size=256KiB', raw]);
  const pieces = Array.from({ length: image.length / MIB }, (_, at) =>
    image.subarray(at * MIB, (at + 1) * MIB),
  );
  site.write('image.raw.zst', seekableZstd(pieces, true));
  run(['qemu-img', 'convert', '-O', 'qcow2', '-c', raw, site.file('image.qcow2')]);
  site.write('one-block.raw.xz', run(['xz', '-0', '-c', raw]));
  site.write('one-frame.raw.zst', run(['zstd', '-q', '-1', '-c', raw]));
  site.write('packed.raw.gz', run(['gzip', '-1', '-c', raw]));
  site.write('ext4.raw', fs.readFileSync(fileSystem));
  run(['mkfs.erofs', '--quiet', site.file('erofs.raw'), tree]);
  run(['mksquashfs', tree, site.file('squashfs.raw'), '-quiet', '-no-progress']);
  fs.rmSync(tree, { recursive: true });
});
afterAll(() => {
  for (const each of [...places, site]) each[Symbol.dispose]();
});

/** A disk with one partition. */
function inTable(partition: Buffer): Buffer {
  const disk = path.join(site.path, '.disk');
  run(['truncate', '-s', String(partition.length + 2 * MIB), disk]);
  run(['sfdisk', '--quiet', disk], {
    input: Buffer.from(`label: gpt\nstart=2048,size=${partition.length / 512},type=${ROOT},name=root\n`),
  });
  const bytes = fs.readFileSync(disk);
  partition.copy(bytes, MIB);
  return bytes;
}

/** A pull that goes on, and what it has made. */
class OnDemand implements AsyncDisposable {
  readonly images = new TemporaryDirectory();
  readonly mountPoint = new TemporaryDirectory();
  readonly child: Running;
  stdout = '';
  stderr = '';
  readonly #read: Promise<unknown>;

  constructor(url: string, args: readonly string[] = ['--verify=no'], options: RunOptions = {}) {
    places.push(this.images, this.mountPoint);
    this.child = startRdpull(
      ['pull', '--on-demand', '--blockdev', `--image-root=${this.images.path}`, ...args, url],
      options,
    );
    const collect = async (stream: ReadableStream<Uint8Array>, add: (text: string) => void) => {
      const decoder = new TextDecoder();
      for await (const chunk of stream) add(decoder.decode(chunk, { stream: true }));
    };
    this.#read = Promise.all([
      collect(this.child.stdout, (text) => {
        this.stdout += text;
      }),
      collect(this.child.stderr, (text) => {
        this.stderr += text;
      }),
    ]);
  }

  /** Waits until it has said something. */
  async said(text: string): Promise<void> {
    await until(() => this.stderr.includes(text) || this.child.exitCode !== null, this);
    if (!this.stderr.includes(text)) throw new Error(`not said: ${text}\n${this.stderr}`);
  }

  /** `/dev/loop3`, as soon as it is printed. */
  async device(): Promise<string> {
    await until(() => /\/dev\/loop\d+/.test(this.stdout) || this.child.exitCode !== null, this);
    const [device] = /\/dev\/loop\d+/.exec(this.stdout) ?? [];
    if (device === undefined) throw new Error(`nothing was attached:\n${this.stderr}`);
    return device;
  }

  async mount(partition = 'p1', options = 'ro'): Promise<void> {
    const device = `${await this.device()}${partition}`;
    // Not by spawnSync: the server of this process has to answer.
    const { exitCode, stderr } = await spawned(['mount', '-o', options, device, this.mountPoint.path]);
    if (exitCode !== 0) throw new Error(stderr);
  }

  /** Also where a mount namespace has a copy of the mount, which somebody else has made meanwhile, for as long as that exists. */
  async unmount(): Promise<void> {
    await spawned(['umount', this.mountPoint.path]);
    await until(() => !isMountedAnywhere(this.mountPoint.path), this);
  }

  /** A file in the image. */
  async read(name: string): Promise<Buffer> {
    const { stdout, exitCode, stderr } = await spawned(['cat', this.mountPoint.file(name)]);
    if (exitCode !== 0) throw new Error(stderr);
    return stdout;
  }

  async end(): Promise<Finished> {
    await this.child.exited;
    await this.#read;
    const { exitCode, signalCode } = this.child;
    const { stdout, stderr } = this;
    return {
      status: exitCode ?? undefined,
      signal: signalCode === null ? undefined : String(signalCode),
      stdout,
      stderr,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.unmount();
    const [device] = /\/dev\/loop\d+/.exec(this.stdout) ?? [];
    this.child.kill('SIGTERM');
    await Promise.race([this.child.exited, Bun.sleep(5000)]);
    this.child.kill('SIGKILL');
    await this.child.exited;
    if (device !== undefined && isAttached(device, this.images))
      await spawned(['losetup', '--detach', device]);
  }
}

async function spawned(command: readonly string[]) {
  const child = Bun.spawn([...command], { stdout: 'pipe', stderr: 'pipe' });
  const [stdout, stderr] = await Promise.all([child.stdout.bytes(), child.stderr.text()]);
  return { stdout: Buffer.from(stdout), stderr, exitCode: await child.exited };
}

async function until(condition: () => boolean, { stderr }: { readonly stderr: string } = { stderr: '' }) {
  for (const begun = performance.now(); !condition(); await Bun.sleep(10)) {
    if (performance.now() - begun > 30_000) throw new Error(`waited too long until ${condition}\n${stderr}`);
  }
}

/** In any mount namespace that a process has. */
function isMountedAnywhere(mountPoint: string): boolean {
  const processes = fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return processes.some((id) => {
    try {
      return fs.readFileSync(`/proc/${id}/mountinfo`, 'utf8').includes(` ${mountPoint} `);
    } catch {
      // It has ended.
      return false;
    }
  });
}

function isAttached(device: string, images: TemporaryDirectory): boolean {
  const file = `/sys/block/${path.basename(device)}/loop/backing_file`;
  return fs.existsSync(file) && fs.readFileSync(file, 'utf8').startsWith(images.path);
}

/** Whether something of an image is attached, or a partition is there of a device that has no image: others may have it by now. */
function isLeft(device: string, images: TemporaryDirectory): boolean {
  const isFree = !fs.existsSync(`/sys/block/${path.basename(device)}/loop/backing_file`);
  return isAttached(device, images) || (isFree && fs.existsSync(`${device}p1`));
}

function parsed(text: string): Record<string, unknown>[] {
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

describe('an image is read before it is there, and becomes a file like any other:', () => {
  test.each(['image.raw', 'image.raw.xz', 'image.raw.zst', 'image.qcow2'])('%s', async (name) => {
    await using server = new RangeServer(site.path);
    server.delay = 20;
    await using pull = new OnDemand(`${server.url}/${name}`, [
      '--verify=no',
      '--json',
      '--fill=1M',
      '--local=image',
    ]);
    await pull.mount();
    const total = fs.statSync(site.file(name)).size;
    expect(await pull.read('etc/os-release')).toEqual(files.get('etc/os-release') as Buffer);
    expect(server.sent(name)).toBeLessThan(total / 2);
    expect(pull.images.names()).toEqual(['.#rdpull-image.raw']);
    const [running] = parsed((await rdpull(['status', '--json', pull.images.file('image.raw')])).stdout);
    expect(running).toMatchObject({
      transfers: [
        {
          state: 'running',
          devices: [{ mountPoint: pull.mountPoint.path }],
          onDemand: { handedOver: false },
        },
      ],
    });
    for (const [file, bytes] of files) expect((await pull.read(file)).equals(bytes)).toBe(true);

    const { status, stdout, stderr } = await pull.end();
    expect({ status, stderr }).toMatchObject({ status: 0 });
    const [attached, complete] = parsed(stdout);
    const device = await pull.device();
    expect(attached).toMatchObject({
      event: 'attached',
      target: pull.images.file('image.raw'),
      loop: { device, readOnly: true, kind: 'gpt', partitions: [{ path: `${device}p1`, name: 'root' }] },
    });
    expect(complete).toMatchObject({
      event: 'complete',
      received: expect.any(Number),
      decoded: image.length,
      onDemand: { handedOver: true },
    });
    expect(stderr).toMatch(/read on demand, handed over, not verified$/m);
    // Nothing was fetched twice.
    expect(server.sent(name)).toBeLessThan(total * 1.05 + 256 * 1024);

    expect(pull.images.names()).toEqual(['image.raw']);
    expect(fs.readFileSync(pull.images.file('image.raw')).equals(image)).toBe(true);
    for (const [file, bytes] of files) expect((await pull.read(file)).equals(bytes)).toBe(true);
    const [done] = parsed((await rdpull(['status', '--json', pull.images.file('image.raw')])).stdout);
    expect(done).toMatchObject({ transfers: [{ state: 'done', onDemand: { handedOver: true } }] });
    await pull.unmount();
    expect(await rdpull(['detach', pull.images.file('image.raw')])).toMatchObject({ status: 0 });
    expect(isLeft(device, pull.images)).toBe(false);
  });

  test.each(['erofs.raw', 'squashfs.raw'])('%s, which is a file system and nothing else', async (name) => {
    await using server = new RangeServer(site.path);
    await using pull = new OnDemand(`${server.url}/${name}`, ['--verify=no', '--fill=4M']);
    await pull.mount('');
    for (const [file, bytes] of files) expect((await pull.read(file)).equals(bytes)).toBe(true);
    expect(await pull.end()).toMatchObject({ status: 0 });
    for (const [file, bytes] of files) expect((await pull.read(file)).equals(bytes)).toBe(true);
  });

  test('nobody mounts it: it is handed over when it is there', async () => {
    await using server = new RangeServer(site.path);
    await using pull = new OnDemand(`${server.url}/image.raw`, ['--verify=no']);
    const { status, stdout } = await pull.end();
    expect(status).toBe(0);
    const device = await pull.device();
    expect(stdout).toMatch(
      new RegExp(`^${device}\n${device}p1  24.0 MiB  ${ROOT}  "root"\n${pull.images.path}/image.raw\n$`),
    );
    await pull.mount();
    for (const [file, bytes] of files) expect((await pull.read(file)).equals(bytes)).toBe(true);
  });

  test('bare ext4 is mounted by a partition of its whole length, and the link leads there', async () => {
    await using server = new RangeServer(site.path);
    const link = site.file('.root');
    await using pull = new OnDemand(`${server.url}/ext4.raw`, [
      '--verify=no',
      '--fill=4M',
      `--root-link=${link}`,
    ]);
    const device = await pull.device();
    expect(fs.readlinkSync(link)).toBe(`${device}p1`);
    await pull.mount();
    expect(await pull.end()).toMatchObject({ status: 0 });
    for (const [file, bytes] of files) expect((await pull.read(file)).equals(bytes)).toBe(true);
  });
});

test('how large the image is makes no difference to the memory that it takes, with 20 readers beside the fill', async () => {
  const large = site.file('large.raw');
  fs.writeFileSync(large, image);
  fs.truncateSync(large, 192 * MIB);
  await using server = new RangeServer(site.path);
  await using pull = new OnDemand(`${server.url}/large.raw`, ['--verify=no']);
  const device = await pull.device();
  const reads = Array.from({ length: 20 }, (_, reader) => {
    const places = Array.from({ length: 12 }, (__, read) => (reader * 12 + read) * 199);
    const script = places.map(
      (page) => `dd if=${device} bs=4K count=1 skip=${page} iflag=direct status=none`,
    );
    return spawned(['sh', '-euc', script.join('\n')]);
  });
  let most = 0;
  while (pull.child.exitCode === null && pull.child.signalCode === null) {
    most = Math.max(most, anonymousMemory(pull.child.pid));
    await Bun.sleep(20);
  }
  expect(await pull.end()).toMatchObject({ status: 0 });
  for (const { exitCode, stderr } of await Promise.all(reads))
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  fs.rmSync(large);
  fs.rmSync(pull.images.file('large.raw'));
  expect(most).toBeGreaterThan(MIB);
  expect(most).toBeLessThan(96 * MIB);
});

/** Bytes; 0 when the process is gone. */
function anonymousMemory(pid: number): number {
  try {
    const [, kilobytes] = /^RssAnon:\s+(\d+) kB$/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return Number(kilobytes ?? 0) * 1024;
  } catch {
    return 0;
  }
}

describe('a signal', () => {
  test.each(['SIGINT', 'SIGTERM'] as const)('%s: nothing is mounted, and nothing is left', async (signal) => {
    await using server = new RangeServer(site.path);
    await using pull = new OnDemand(`${server.url}/image.raw`, ['--verify=no', '--fill=64K']);
    const device = await pull.device();
    pull.child.kill(signal);
    expect(await pull.end()).toMatchObject({ signal, stdout: expect.stringContaining(device) });
    expect(isLeft(device, pull.images)).toBe(false);
    expect(pull.images.names()).toEqual([]);
  });

  test('it is mounted: it says so, and goes on', async () => {
    await using server = new RangeServer(site.path);
    await using pull = new OnDemand(`${server.url}/image.raw`, ['--verify=no', '--fill=3M']);
    await pull.mount();
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      pull.child.kill(signal);
      await pull.said(
        `${signal}: ${await pull.device()}p1 is mounted on ${pull.mountPoint.path}, and this process goes on until that ends, or all of the image is there`,
      );
    }
    expect(await pull.end()).toMatchObject({ status: 0 });
    for (const [file, bytes] of files) expect((await pull.read(file)).equals(bytes)).toBe(true);
  });

  test('fill=no: only what is read comes, until it is unmounted and ended', async () => {
    await using server = new RangeServer(site.path);
    await using pull = new OnDemand(`${server.url}/image.raw`, ['--verify=no', '--fill=no']);
    await pull.mount();
    expect(await pull.read('file-3')).toEqual(files.get('file-3') as Buffer);
    await Bun.sleep(1000);
    expect(server.sent('image.raw')).toBeLessThan(image.length / 2);
    pull.child.kill('SIGINT');
    await pull.said('goes on');
    await pull.unmount();
    pull.child.kill('SIGINT');
    expect(await pull.end()).toMatchObject({ signal: 'SIGINT' });
    expect(pull.images.names()).toEqual([]);
  });

  test('SIGKILL: whoever reads gets an error, and never a wrong byte; what was left is removed by the next pull', async () => {
    await using server = new RangeServer(site.path);
    await using pull = new OnDemand(`${server.url}/image.raw`, ['--verify=no', '--fill=no']);
    await pull.mount();
    expect(await pull.read('file-3')).toEqual(files.get('file-3') as Buffer);
    pull.child.kill('SIGKILL');
    await pull.end();
    for (const [file, bytes] of files) {
      const read = await pull.read(file).catch((error: Error) => error.message);
      if (typeof read === 'string') expect(read).toContain('Input/output error');
      else expect(read.equals(bytes)).toBe(true);
    }
    const target = pull.images.file('image.raw');
    const [killed] = parsed((await rdpull(['status', '--json', target])).stdout);
    expect(killed).toMatchObject({ transfers: [{ state: 'killed' }] });
    await pull.unmount();
    await spawned(['losetup', '--detach', await pull.device()]);
    const again = await rdpull([
      'pull',
      '--verify=no',
      `--image-root=${pull.images.path}`,
      `${server.url}/image.raw`,
    ]);
    expect(again).toMatchObject({ status: 0 });
    expect(pull.images.names()).toEqual(['image.raw']);
  });
});

test('who has read the device may be gone: that is no failure', async () => {
  await using server = new RangeServer(site.path);
  using images = new TemporaryDirectory();
  const command = `"$@" | head -n 1; exit "\${PIPESTATUS[0]}"`;
  const { exitCode, stdout, stderr } = await spawned([
    ...[
      'bash',
      '-c',
      command,
      'bash',
      RDPULL,
      'pull',
      '--on-demand',
      '--blockdev',
      '--verify=no',
      '--fill=8M',
    ],
    `--image-root=${images.path}`,
    `${server.url}/image.raw`,
  ]);
  expect({ exitCode, stderr }).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('handed over') });
  await spawned(['losetup', '--detach', stdout.toString().trim()]);
  expect(images.names()).toEqual(['image.raw']);
});

test.each(['device', 'image'])('whoever detaches the %s ends the pull', async (what) => {
  await using server = new RangeServer(site.path);
  await using pull = new OnDemand(`${server.url}/image.raw`, ['--verify=no', '--fill=64K']);
  const device = await pull.device();
  const named = what === 'device' ? device : pull.images.file('image.raw');
  expect(await rdpull(['detach', named])).toMatchObject({ status: 0 });
  const { status, stderr } = await pull.end();
  expect(status).toBe(15);
  expect(stderr).toMatch(
    new RegExp(`error: .*${device} was detached before all of the image was there \\(\\d+ %\\)`),
  );
  expect(pull.images.names()).toEqual([]);
});

describe('the server', () => {
  test('is away for a while: readers wait, somebody is told, and then it goes on', async () => {
    await using server = new RangeServer(site.path);
    await using pull = new OnDemand(`${server.url}/image.raw`, ['--verify=no', '--fill=8M', '--patience=1']);
    await pull.mount();
    server.isAway = true;
    const reading = pull.read('file-7');
    await pull.said('503');
    // Longer than the patience of a download.
    await Bun.sleep(3000);
    server.isAway = false;
    expect((await reading).equals(files.get('file-7') as Buffer)).toBe(true);
    expect(await pull.end()).toMatchObject({ status: 0 });
    expect(fs.readFileSync(pull.images.file('image.raw')).equals(image)).toBe(true);
  });

  test('goes away, and comes back with another address: the same name leads there', async () => {
    const hosts = site.write('.hosts', '127.0.0.1 images.test\n');
    await using first = new RangeServer(site.path);
    const { port } = first;
    await using pull = new OnDemand(`http://images.test:${port}/image.raw`, ['--verify=no', '--fill=8M'], {
      wrapper: ['unshare', '-m', 'sh', '-c', `mount --bind ${hosts} /etc/hosts && exec "$@"`, 'sh'],
    });
    await pull.mount();
    await first[Symbol.asyncDispose]();
    const reading = pull.read('file-7');
    await pull.said('reads wait; trying again');
    await using second = new RangeServer(site.path, { address: '127.0.0.2', port });
    fs.writeFileSync(hosts, '127.0.0.2 images.test\n');
    expect((await reading).equals(files.get('file-7') as Buffer)).toBe(true);
    expect(await pull.end()).toMatchObject({ status: 0 });
    expect(second.sent('image.raw')).toBeGreaterThan(MIB);
    expect(fs.readFileSync(pull.images.file('image.raw')).equals(image)).toBe(true);
  });

  test('gets another image: nothing of that is shown, and what is there is', async () => {
    await using server = new RangeServer(site.path);
    await using pull = new OnDemand(`${server.url}/image.raw`, ['--verify=no', '--fill=1M']);
    await pull.mount();
    const early = await pull.read('file-0');
    server.version = 2;
    server.change = (bytes) => void bytes.fill(0x58);
    await pull.said('what is there of the image can be read, and the rest cannot');
    expect((await pull.read('file-0')).equals(early)).toBe(true);
    for (const [file, bytes] of files) {
      const read = await pull.read(file).catch((error: Error) => error.message);
      if (typeof read === 'string') expect(read).toContain('Input/output error');
      else expect(read.equals(bytes)).toBe(true);
    }
    await pull.unmount();
    const { status, stderr } = await pull.end();
    expect(status).toBe(11);
    expect(stderr).toContain('this is not the image any more that was opened');
    expect(pull.images.names()).toEqual([]);
  });
});

describe('is downloaded whole, with one line that says why:', () => {
  const CASES: Readonly<Record<string, string>> = {
    'one-block.raw.xz': 'is a single block of xz: it is downloaded whole, and not read on demand (',
    'one-frame.raw.zst':
      'is compressed with zstd without a seek table, and can only be read from its beginning: it is downloaded whole',
    'packed.raw.gz':
      'is compressed with gzip, which can only be read from its beginning: it is downloaded whole',
  };

  test.each(Object.entries(CASES))('%s', async (name, why) => {
    await using server = new RangeServer(site.path);
    await using pull = new OnDemand(`${server.url}/${name}`, ['--verify=no', '--local=image']);
    const { status, stderr } = await pull.end();
    expect({ status, stderr }).toMatchObject({ status: 0, stderr: expect.stringContaining(why) });
    expect(fs.readFileSync(pull.images.file('image.raw')).equals(image)).toBe(true);
    await pull.device();
    const required = await rdpull([
      ...['pull', '--on-demand=require', '--json', '--verify=no', `--image-root=${pull.images.path}/other`],
      `${server.url}/${name}`,
    ]);
    expect(required.status).toBe(15);
    expect(parsed(required.stdout)).toMatchObject([{ error: { code: 'on-demand-impossible' } }]);
  });

  test('a server that sends no parts of files', async () => {
    await using server = new RangeServer(site.path);
    server.hasRanges = false;
    await using pull = new OnDemand(`${server.url}/image.raw`);
    const { status, stderr } = await pull.end();
    expect(status).toBe(0);
    expect(stderr).toContain('comes from a server that sends no parts of files: it is downloaded whole');
  });

  test('a tarball', async () => {
    await using server = new RangeServer(site.path);
    run(['tar', '-cf', site.file('tree.tar'), '-C', site.path, 'image.raw.xz']);
    using images = new TemporaryDirectory();
    const args = ['pull', '--verify=no', `--image-root=${images.path}`, `${server.url}/tree.tar`];
    const { status, stderr } = await rdpull([...args, '--on-demand']);
    expect(status).toBe(0);
    expect(stderr).toContain('warning: --on-demand is passed over: a tarball is unpacked as a whole');
    expect(await rdpull([...args, '--on-demand=require'])).toMatchObject({ status: 2 });
  });
});

describe('what vouches for the whole vouches for no part:', () => {
  const signed = new TemporaryDirectory();
  let gpg: GpgHome;
  let keyring: string;
  let key: string;
  beforeAll(() => {
    gpg = new GpgHome();
    fs.copyFileSync(site.file('image.raw'), signed.file('image.raw'));
    key = gpg.generateKey('Builder <builder@example.com>');
    keyring = signed.write('.keyring.pgp', gpg.exportKeys());
  });
  afterAll(() => {
    gpg[Symbol.dispose]();
    signed[Symbol.dispose]();
  });

  function sign(): void {
    fs.rmSync(signed.file('SHA256SUMS'), { force: true });
    fs.rmSync(signed.file('SHA256SUMS.gpg'), { force: true });
    const names = signed.names().filter((name) => !name.startsWith('.'));
    signed.write('SHA256SUMS', run(['sha256sum', ...names], { cwd: signed.path }));
    signed.write('SHA256SUMS.gpg', gpg.sign(fs.readFileSync(signed.file('SHA256SUMS')), { by: key }));
  }

  test.each(['signature', 'checksum'])('verify=%s downloads it whole', async (mode) => {
    sign();
    await using server = new RangeServer(signed.path);
    const trust = mode === 'signature' ? [`--keyring=${keyring}`] : [];
    await using pull = new OnDemand(`${server.url}/image.raw`, [`--verify=${mode}`, ...trust]);
    const { status, stderr } = await pull.end();
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(stderr).toContain(
      `is vouched for as a whole (verify=${mode}), and nothing vouches for a part of it: it is downloaded whole, and not read on demand (make an image with dm-verity, and list image.roothash in the checksum file)`,
    );
    expect(fs.readFileSync(pull.images.file('image.raw')).equals(image)).toBe(true);
  });

  test('dm-verity does, and the digest of the whole is checked all the same', async () => {
    signed.write('image.roothash', `${'ab'.repeat(32)}\n`);
    sign();
    await using server = new RangeServer(signed.path);
    const args = [`--keyring=${keyring}`, '--fill=4M'];
    {
      await using pull = new OnDemand(`${server.url}/image.raw`, args);
      await pull.mount();
      expect(fs.existsSync(pull.images.file('image.raw'))).toBe(false);
      const { status, stderr } = await pull.end();
      expect({ status, stderr }).toMatchObject({
        status: 0,
        stderr: expect.stringMatching(/handed over, verified by .*, signed by Builder/),
      });
    }
    // Not where the partition table is.
    server.change = (bytes, from) => {
      if (from > 8 * MIB) bytes.writeUInt8(bytes.readUInt8(0) ^ 1, 0);
    };
    await using pull = new OnDemand(`${server.url}/image.raw`, args);
    await pull.mount();
    const { status, stderr } = await pull.end();
    expect(status).toBe(13);
    expect(stderr).toContain('SHA-256');
    expect(pull.images.names()).toEqual([]);
  });

  test('a policy on the kernel command line of an initrd that insists on it does as well', async () => {
    fs.rmSync(signed.file('image.roothash'), { force: true });
    sign();
    await using server = new RangeServer(signed.path);
    const env = {
      SYSTEMD_PROC_CMDLINE: 'root=dissect systemd.image_policy=root=signed dm_verity.require_signatures=1',
      // On a running host it is about that host's own root.
      SYSTEMD_IN_INITRD: '1',
    };
    const args = ['--verify=checksum', '--fill=4M'];
    {
      await using pull = new OnDemand(`${server.url}/image.raw`, [...args, '--local=rootdisk'], { env });
      await pull.mount();
      expect(await pull.end()).toMatchObject({ status: 0, stderr: expect.stringContaining('handed over') });
    }
    // It is about the root: of what is pulled beside it, nothing is to be seen before all of it was checked.
    await using other = new OnDemand(`${server.url}/image.raw`, [...args, '--local=data'], { env });
    const { status, stderr } = await other.end();
    expect({ status, stderr }).toMatchObject({
      status: 0,
      stderr: expect.stringContaining('it is downloaded whole, and not read on demand'),
    });
  });
});

describe('an image in chunks', () => {
  const signed = new TemporaryDirectory();
  const gpg = new GpgHome();
  let trust: string;
  beforeAll(() => {
    const index = makeChunks(signed.path, 'image', site.file('image.raw'), { chunkSize: 65536 });
    const key = gpg.generateKey('Builder <builder@example.com>');
    trust = `--keyring=${signed.write('.keyring.pgp', gpg.exportKeys())}`;
    signed.write('SHA256SUMS', run(['sha256sum', path.basename(index)], { cwd: signed.path }));
    signed.write('SHA256SUMS.gpg', gpg.sign(fs.readFileSync(signed.file('SHA256SUMS')), { by: key }));
  });
  afterAll(() => {
    gpg[Symbol.dispose]();
    signed[Symbol.dispose]();
  });

  test('is read before it is there with verify=signature, and becomes a file like any other', async () => {
    await using server = startWebServer(signed.path);
    await using pull = new OnDemand(`${server.url}/image.caibx`, [trust, '--json', '--fill=2M']);
    await pull.mount();
    expect(await pull.read('etc/os-release')).toEqual(files.get('etc/os-release') as Buffer);
    expect(server.requests.length).toBeLessThan(chunksOf(signed.file('default.castr')).length / 2);
    expect(pull.images.names()).toEqual(['.#rdpull-image.raw']);
    for (const [file, bytes] of files) expect((await pull.read(file)).equals(bytes)).toBe(true);
    const { status, stdout, stderr } = await pull.end();
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(parsed(stdout)[1]).toMatchObject({
      ...{ event: 'complete', decoded: image.length, format: 'caibx', compression: 'none' },
      ...{
        promised: { signedBy: { userId: 'Builder <builder@example.com>' } },
        onDemand: { handedOver: true },
      },
    });
    expect(fs.readFileSync(pull.images.file('image.raw')).equals(image)).toBe(true);
    // No chunk came twice.
    const chunks = server.requests.filter((each) => each.includes('castr'));
    expect(new Set(chunks).size).toBe(chunks.length);
  });

  test('a chunk that is another one is an error for its reader, and never a wrong byte', async () => {
    const read = files.get('file-7');
    if (read === undefined) throw new Error('it is in the image');
    await using server = startWebServer(signed.path, (request) => {
      const chunk = path.join(signed.path, new URL(request.url).pathname);
      if (!chunk.endsWith('.cacnk')) return undefined;
      const bytes = run(['zstd', '-q', '-d', '-c', chunk]);
      return bytes.includes(read.subarray(1000, 1100)) ? new Response(bytes.reverse()) : undefined;
    });
    await using pull = new OnDemand(`${server.url}/image.caibx`, [trust, '--fill=no', '--patience=0']);
    await pull.mount();
    expect((await pull.read('file-3')).equals(files.get('file-3') ?? Buffer.of())).toBe(true);
    const { exitCode, stderr } = await spawned(['cat', pull.mountPoint.file('file-7')]);
    expect({ exitCode, stderr }).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('Input/output error'),
    });
  });

  test('an index that is not what was signed is not attached', async () => {
    await using server = startWebServer(signed.path, (request) =>
      request.url.endsWith('.caibx')
        ? new Response(fs.readFileSync(signed.file('image.caibx')).subarray(0, -40))
        : undefined,
    );
    await using pull = new OnDemand(`${server.url}/image.caibx`, [trust, '--patience=0']);
    expect(await pull.end()).toMatchObject({ status: 13, stdout: '' });
    expect(pull.images.names()).toEqual([]);
  });
});

test('the service manager is told as soon as it can be read, and how far it is', async () => {
  using directory = new TemporaryDirectory();
  const address = directory.file('notify');
  await using manager = await NotifyServer.listen(address);
  await using server = new RangeServer(site.path);
  await using pull = new OnDemand(`${server.url}/image.raw`, ['--verify=no', '--fill=4M'], {
    env: { NOTIFY_SOCKET: address },
  });
  const device = await pull.device();
  await manager.received((all) => all.some((text) => text.includes('READY=1')));
  expect(pull.child.exitCode).toBeNull();
  await pull.mount();
  expect(await pull.end()).toMatchObject({ status: 0 });
  const messages = await manager.received((all) => all.some((text) => text.includes('handed over')));
  expect(messages).toContainEqual(`READY=1\nSTATUS=image.raw: can be read at ${device}`);
  expect(messages.join('\n')).toMatch(
    /STATUS=image\.raw: 127\.0\.0\.1:\d+, [\d.]+ [KM]iB read on demand, .* of 26\.0 MiB, .*\/s, \d+ %/,
  );
});

test('an ext4 that was not unmounted is told of, with what mounts it', async () => {
  const fileSystem = site.file('.dirty');
  fs.copyFileSync(site.file('ext4.raw'), fileSystem);
  run(['debugfs', '-w', '-R', 'feature needs_recovery', fileSystem]);
  site.write('dirty.raw', inTable(fs.readFileSync(fileSystem)));
  await using server = new RangeServer(site.path);
  await using pull = new OnDemand(`${server.url}/dirty.raw`, ['--verify=no', '--fill=4M']);
  const device = await pull.device();
  expect(pull.stderr).toContain(
    `${device}p1 holds an ext4 that was not unmounted: what its journal holds is not seen; mount it with -o ro,noload`,
  );
  await pull.mount('p1', 'ro,noload');
  expect(await pull.read('etc/os-release')).toEqual(files.get('etc/os-release') as Buffer);
});
