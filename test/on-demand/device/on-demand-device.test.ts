import { describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { rootDevice } from '../../../src/expose/root-partition.ts';
import { loopGetStatus } from '../../../src/kernel/loop.ts';
import { attachOnDemand, type OnDemandDevice } from '../../../src/on-demand/device/on-demand-device.ts';
import { type FuseFile, openFuseFile } from '../../../src/on-demand/fuse/fuse-file.ts';
import { TemporaryDirectory } from '../../fixtures/temporary-directory.ts';
import { FetchedImage } from '../fetched-image.ts';
import { bareImage, gptImage, runProgram, TREE } from './images.ts';

const sysfs = (device: string, attribute: string) =>
  fs.readFileSync(`/sys/block/${device.slice('/dev/'.length)}/${attribute}`, 'utf8').trim();

function loopRef(device: string): string {
  const fd = fs.openSync(device, 'r');
  try {
    return Buffer.from(loopGetStatus(fd).fileName).toString();
  } finally {
    fs.closeSync(fd);
  }
}

/** Everything that one test needs, and its end: nothing mounted, attached or open. */
class Attached implements AsyncDisposable {
  readonly mountPoint: string;
  readonly warnings: string[] = [];

  private constructor(
    readonly directory: TemporaryDirectory,
    readonly image: FetchedImage,
    readonly file: FuseFile,
    readonly device: OnDemandDevice,
  ) {
    this.mountPoint = directory.file('mnt');
    fs.mkdirSync(this.mountPoint);
  }

  static async of(bytes: Buffer, name?: string): Promise<Attached> {
    const directory = new TemporaryDirectory();
    const image = new FetchedImage(directory, bytes);
    const file = await openFuseFile(image.cache, image.want, { path: directory.file('root.raw') });
    const warnings: string[] = [];
    const device = await attachOnDemand(file, image.cache, {
      want: image.want,
      warn: (message) => warnings.push(message),
      ...(name !== undefined && { name }),
    });
    const attached = new Attached(directory, image, file, device);
    attached.warnings.push(...warnings);
    return attached;
  }

  get root(): string {
    return rootDevice(this.device);
  }

  async mount(node = this.root): Promise<void> {
    await runProgram('mount', '-o', 'ro', node, this.mountPoint);
  }

  async unmount(): Promise<void> {
    await runProgram('umount', this.mountPoint);
  }

  /** Everything comes, and is published: the cache is the image from then on. */
  complete(): string {
    this.image.put();
    const path = this.directory.file('root.raw');
    fs.renameSync(this.image.path, path);
    return path;
  }

  /** The digests of what is mounted, as a program reads them: this thread has to serve it, and must not touch it. */
  tree(rounds = 1): Promise<string> {
    const script = `cd "$0" && for i in $(seq $1); do find . -type f | sort | xargs sha256sum
      find . -type f -exec dd if={} iflag=nocache count=0 status=none ';'; done`;
    return runProgram('sh', '-c', script, this.mountPoint, String(rounds));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // What still reads when a test has failed must not hide why it has.
    await runProgram('umount', '--lazy', '--quiet', this.mountPoint).catch(() => undefined);
    await this.device.detach().catch(() => undefined);
    await this.file[Symbol.asyncDispose]();
    this.image[Symbol.dispose]();
    this.directory[Symbol.dispose]();
  }
}

describe('a device whose image comes when it is read', () => {
  test('is read-only, does direct I/O, and has the partitions of the GPT, which comes first', async () => {
    await using attached = await Attached.of(await gptImage('ext4'), 'web.raw');
    const { device } = attached;
    const name = device.device.slice('/dev/'.length);
    expect(name).toMatch(/^loop\d+$/);
    expect(device).toMatchObject({
      readOnly: true,
      directIo: true,
      sectorSize: 512,
      kind: 'gpt',
      partitions: [
        { number: 1, path: `/dev/${name}p1`, name: 'esp' },
        { number: 2, path: `/dev/${name}p2`, name: 'root' },
      ],
    });
    expect(attached.root).toBe(`/dev/${name}p2`);
    expect(attached.warnings).toEqual([]);
    expect(sysfs(device.device, 'loop/dio')).toBe('1');
    expect(sysfs(device.device, 'ro')).toBe('1');
    // Without it, systemd's root=dissect finds nothing on a device.
    expect(sysfs(device.device, 'loop/partscan')).toBe('1');
    expect(sysfs(device.device, 'loop/autoclear')).toBe('0');
    expect(sysfs(device.device, 'loop/backing_file')).toBe(attached.directory.file('root.raw'));
    expect(loopRef(device.device)).toBe('web.raw');
    // The table itself, its copy at the end where the kernel looks for that, and nothing more.
    const { wanted, bytes } = attached.image;
    const others = wanted.filter(({ offset }) => offset >= 64 * 1024 && offset < bytes.length - 64 * 1024);
    expect(others).toEqual([]);
    expect(device.isMounted()).toBe(false);
  });

  test('with a bare file system has one partition of the whole length, which is the root', async () => {
    await using attached = await Attached.of(await bareImage('ext4'));
    const { device } = attached;
    expect(device.kind).toBe('file-system');
    expect(device.fileSystem).toBe('ext4');
    expect(device.partitions).toEqual([
      { number: 1, start: 0, size: attached.image.bytes.length, type: '0x83', path: `${device.device}p1` },
    ]);
    expect(attached.root).toBe(`${device.device}p1`);
    await attached.mount();
    expect((await attached.tree()).split('\n').length).toBe(TREE.length + 1);
  });

  test('has all bytes but those of a last sector that is not whole', async () => {
    const whole = await bareImage('squashfs');
    const bytes = Buffer.concat([whole, Buffer.alloc(4096 - (whole.length % 4096) + 300, 7)]);
    await using attached = await Attached.of(bytes);
    const size = bytes.length - (bytes.length % 512);
    expect(Number(sysfs(attached.device.device, 'size')) * 512).toBe(size);
    const copy = attached.directory.file('copy');
    for (const node of [attached.device.device, attached.root]) {
      await runProgram('dd', `if=${node}`, `of=${copy}`, 'bs=1M', 'status=none');
      expect(fs.readFileSync(copy).equals(bytes.subarray(0, size))).toBe(true);
    }
  });
});

describe('hand-over to the complete image', () => {
  // Those of the larger ones take long to make.
  for (const [kind, types] of [
    ['gpt', ['ext4', 'erofs', 'squashfs', 'btrfs']],
    ['bare', ['ext4', 'erofs', 'squashfs', 'xfs']],
  ] as const) {
    for (const type of types) {
      test(`under a mounted ${type} (${kind}): its content is the same before, meanwhile and after`, async () => {
        await using attached = await Attached.of(await (kind === 'gpt' ? gptImage(type) : bareImage(type)));
        const { device, file, mountPoint } = attached;
        const name = device.device.slice('/dev/'.length);
        await attached.mount();
        expect(device.isMounted()).toBe(true);
        expect(device.use()).toEqual({
          kind: 'partition',
          what: `${attached.root} is mounted on ${mountPoint}`,
        });
        const before = await attached.tree();
        expect(before.split('\n').length).toBe(TREE.length + 1);

        const path = attached.complete();
        const meanwhile = runProgram(
          'sh',
          '-c',
          `cd ${mountPoint} && for i in 1 2 3 4 5 6; do
          find . -type f | sort | xargs sha256sum; echo 3 >/proc/sys/vm/drop_caches; done`,
        );
        await device.handOver(path);
        await file.ended;
        expect(await meanwhile).toBe(before.repeat(6));

        expect(await attached.tree()).toBe(before);
        expect(sysfs(device.device, 'loop/backing_file')).toBe(path);
        expect(loopRef(device.device)).toBe('root.raw');
        expect(sysfs(device.device, 'ro')).toBe('1');
        expect(device.partitions.map(({ path }) => fs.existsSync(path))).not.toContain(false);
        // It is that file, and not one that is called so.
        const status = await runProgram('losetup', '--noheadings', '-O', 'BACK-INO', '--raw', device.device);
        expect(status.trim()).toBe(String(fs.statSync(path).ino));
        expect(fs.readdirSync(`/sys/block/${name}`).filter((each) => each.startsWith(name)).length).toBe(
          device.partitions.length,
        );
      }, 60_000);
    }
  }

  test('of a device that nobody uses: its partitions are there afterwards, and stay', async () => {
    await using attached = await Attached.of(await gptImage('ext4'));
    const { device, file } = attached;
    const path = attached.complete();
    await device.handOver(path);
    await file.ended;
    for (let round = 0; round < 3; round++) {
      // What opens the device makes the kernel look whether it has changed.
      await runProgram('dd', `if=${device.device}`, 'of=/dev/null', 'bs=4K', 'count=1', 'status=none');
      await attached.mount();
      expect((await attached.tree()).split('\n').length).toBe(TREE.length + 1);
      await attached.unmount();
    }
    await device.detach();
    expect(fs.existsSync(`${device.device}p1`)).toBe(false);
  });

  test('of a device is over when it is detached: whoever has its number then is left alone', async () => {
    await using attached = await Attached.of(await bareImage('squashfs'));
    const { device } = attached;
    await device.detach();
    const other = attached.directory.write('other.raw', Buffer.alloc(1024 * 1024));
    await runProgram('losetup', device.device, other);
    try {
      await device.detach();
      expect(sysfs(device.device, 'loop/backing_file')).toBe(other);
    } finally {
      await runProgram('losetup', '--detach', device.device);
    }
  });

  test('is refused where the device itself is mounted by ext4, and goes on', async () => {
    await using attached = await Attached.of(await bareImage('ext4'));
    const { device, mountPoint } = attached;
    await attached.mount(device.device);
    const before = await attached.tree();
    expect(device.use()).toMatchObject({ kind: 'whole', survives: false });
    const path = attached.complete();
    const error = await device.handOver(path).catch((error: unknown) => error);
    expect(error).toMatchObject({
      code: 'target-busy',
      message: `the image under ${device.device} is complete, and cannot take its place: ${device.device} is mounted on ${mountPoint}, and not a partition of it`,
    });
    expect(await attached.tree()).toBe(before);
  });

  for (const type of ['erofs', 'squashfs'] as const) {
    test(`is done where the device itself is mounted by ${type}`, async () => {
      await using attached = await Attached.of(await bareImage(type));
      const { device, file } = attached;
      await attached.mount(device.device);
      const before = await attached.tree();
      await device.handOver(attached.complete());
      await file.ended;
      expect(await attached.tree()).toBe(before);
      expect(fs.existsSync(`${device.device}p1`)).toBe(true);
    });
  }

  test('refuses another file, and goes on', async () => {
    await using attached = await Attached.of(await gptImage('ext4'));
    await attached.mount();
    const other = attached.directory.write('other.raw', 'short');
    const error = await attached.device.handOver(other).catch((error: unknown) => error);
    expect(error).toMatchObject({ code: 'loop-failed' });
    expect((await attached.tree()).split('\n').length).toBe(TREE.length + 1);
  });
});

describe('its end', () => {
  test('a device that is detached, by whomever, ends the file', async () => {
    await using attached = await Attached.of(await gptImage('ext4'));
    const { device, file } = attached;
    await device.detach();
    await file.ended;
    expect(fs.existsSync(`${device.device}p1`)).toBe(false);
  });

  test('what is mounted is not detached, and said', async () => {
    await using attached = await Attached.of(await gptImage('ext4'));
    await attached.mount();
    const error = await attached.device.detach().catch((error: unknown) => error);
    expect(error).toMatchObject({ code: 'target-busy' });
    expect((await attached.tree()).split('\n').length).toBe(TREE.length + 1);
  });
});

test('an image that holds nothing leaves no device, and the file to its owner', async () => {
  using directory = new TemporaryDirectory();
  using image = new FetchedImage(directory, Buffer.alloc(1024 * 1024, 'x'));
  await using file = await openFuseFile(image.cache, image.want, { path: directory.file('root.raw') });
  const options = { want: image.want, warn: () => undefined };
  const error = await attachOnDemand(file, image.cache, options).catch((error: unknown) => error);
  expect(error).toMatchObject({ code: 'image-unrecognised' });
  expect(fs.fstatSync(file.fd).size).toBe(1024 * 1024);
});

test('a table that cannot be fetched is why, and leaves no device', async () => {
  using directory = new TemporaryDirectory();
  using image = new FetchedImage(directory, await gptImage('ext4'));
  image.before = async () => {
    throw new Error('the server is away');
  };
  await using file = await openFuseFile(image.cache, image.want, { path: directory.file('root.raw') });
  const options = { want: image.want, warn: () => undefined };
  const error = await attachOnDemand(file, image.cache, options).catch((error: unknown) => error);
  expect(error).toMatchObject({ message: 'the server is away' });
});
