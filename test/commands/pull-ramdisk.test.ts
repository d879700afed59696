import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { rdpull } from '../fixtures/executable.ts';
import { StandIn, withDisks } from '../fixtures/ram-disk.ts';
import { run } from '../fixtures/run.ts';
import { makeImage, writeChecksums } from '../fixtures/served-image.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { startWebServer, type WebServer } from '../fixtures/web-server.ts';

const served = new TemporaryDirectory();
let server: WebServer;
let digest: string;

beforeAll(() => {
  makeImage(served);
  digest = run(['sha256sum', served.file('image.raw')])
    .toString()
    .slice(0, 64);
  run(['xz', '--keep', '-0', served.file('image.raw')]);
  writeChecksums(served);
  server = startWebServer(served.path, (request) => {
    const file = served.file(new URL(request.url).pathname);
    return fs.statSync(file, { throwIfNoEntry: false })?.isFile() ? new Response(Bun.file(file)) : undefined;
  });
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  served[Symbol.dispose]();
});

/** 2 MiB, to which QEMU rounds the memory of an NVDIMM. */
const PADDING = 2 * 1024 * 1024;

/** A file with an image, and zeros behind it. */
function padded(directory: TemporaryDirectory, image = served.file('image.raw')): string {
  const file = directory.file('memory');
  fs.copyFileSync(image, file);
  fs.truncateSync(file, fs.statSync(file).size + PADDING);
  return file;
}

async function pull(target: TemporaryDirectory, wrapper: readonly string[], ...args: readonly string[]) {
  const before = server.requests.length;
  const command = ['pull', '--ramdisk', '--patience=0', `--image-root=${target.path}`, ...args];
  const { status, stdout, stderr } = await rdpull(command, { wrapper });
  const shown = (text: string) => text.replaceAll(target.path, '').replaceAll(/(loop|pmem)\d+/g, '$1N');
  const [device] = /\/dev\/loop\d+/.exec(stdout) ?? [];
  return {
    status,
    stdout: shown(stdout),
    stderr: shown(stderr),
    device,
    requests: server.requests.slice(before),
  };
}

/** Takes away what a pull has attached, by the name of the image. */
async function detach(target: TemporaryDirectory): Promise<void> {
  const { status, stderr } = await rdpull(['detach', '--quiet', target.file('root.raw')]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
}

const sizeOf = (device: string | undefined) =>
  Number(fs.readFileSync(`/sys/block/${path.basename(device ?? '')}/size`, 'utf8')) * 512;

describe('an image in memory is used, and nothing is downloaded but what vouches for it', () => {
  test.each([
    [
      'its digest is asked for',
      (): string => `--verify=sha256:${digest}`,
      'verified by the digest that was asked for',
      [],
    ],
    [
      'a checksum file lists it, though the packed one is asked for',
      (): string => '--verify=checksum',
      'verified by ',
      ['GET /SHA256SUMS'],
    ],
  ] as const)(
    '%s: the device is the image, without the zeros behind it',
    async (_, verify, vouched, asked) => {
      using target = new TemporaryDirectory();
      using memory = new TemporaryDirectory();
      using disk = new StandIn(padded(memory));
      const link = target.file('link');
      const args = [verify(), `--root-link=${link}`, '--local=root', `${server.url}/image.raw.xz`];
      const { status, stdout, stderr, device, requests } = await pull(target, disk.wrapper, ...args);
      expect({ status, stdout }).toEqual({ status: 0, stdout: '/root.raw\n/dev/loopN\nroot: /dev/loopN\n' });
      expect(stderr).toContain(
        'rdpull: /root.raw is /dev/pmemN, 8.0 MiB that the firmware has left in memory',
      );
      expect(stderr).toContain(vouched);
      expect(requests.filter((each) => !each.endsWith('.sha256'))).toEqual([...asked]);
      try {
        expect(fs.readlinkSync(target.file('root.raw'))).toBe(disk.device);
        expect(fs.readlinkSync(link)).toBe(device ?? '');
        expect(sizeOf(device)).toBe(fs.statSync(served.file('image.raw')).size);
        // Where udev before systemd 254 looks for the name of the link: the kernel knows no link to the disk.
        const forUdev = `/run/rdpull/loop-ref${fs.realpathSync(disk.device)}`;
        expect(fs.readFileSync(forUdev, 'utf8')).toContain('RDPULL_LOOP_REF=root.raw\n');
        expect(run(['blockdev', '--getro', device ?? '']).toString()).toBe('1\n');
        expect(run(['debugfs', '-R', 'cat /etc/os-release', device ?? '']).toString()).toContain(
          'ID=rdpull-test',
        );
      } finally {
        await detach(target);
      }
    },
  );

  test('with verify=no, all of the device; once more, in place of the link that the first time has left', async () => {
    using target = new TemporaryDirectory();
    using memory = new TemporaryDirectory();
    using disk = new StandIn(padded(memory));
    const args = ['--verify=no', '--local=root', '--json', 'http://127.0.0.1:1/none.raw'];
    for (let time = 0; time < 2; time++) {
      const { stdout, device } = await pull(target, disk.wrapper, ...args);
      expect(JSON.parse(stdout)).toMatchObject({
        target: '/root.raw',
        ramDisk: '/dev/pmemN',
        size: 10 * 1024 * 1024,
        loop: { readOnly: true, kind: 'file-system', fileSystem: 'ext4' },
      });
      expect(sizeOf(device)).toBe(10 * 1024 * 1024);
      await detach(target);
    }
  });

  test.each([
    ['its digest', (root: string) => `--verify=sha256:${root}`],
    ['a checksum file that lists it', () => '--verify=checksum'],
  ])('the squashfs of an ISO image to which firmware has written, by %s', async (_, verify) => {
    using target = new TemporaryDirectory();
    using memory = new TemporaryDirectory();
    fs.mkdirSync(memory.file('tree/etc'), { recursive: true });
    fs.writeFileSync(memory.file('tree/etc/os-release'), 'ID=rdpull-live\n');
    fs.mkdirSync(memory.file('iso/live'), { recursive: true });
    const root = memory.file('iso/live/filesystem.squashfs');
    run(['mksquashfs', memory.file('tree'), root, '-quiet', '-no-progress']);
    run(['genisoimage', '-quiet', '-R', '-o', memory.file('image.iso'), memory.file('iso')]);
    const size = Math.ceil(fs.statSync(memory.file('image.iso')).size / 4096) * 4096;
    fs.truncateSync(memory.file('image.iso'), size);
    // In the area before the volume descriptors, which is not ISO 9660's: partition tables lie there.
    run([
      'dd',
      'if=/dev/urandom',
      `of=${memory.file('image.iso')}`,
      'bs=512',
      'seek=1',
      'count=1',
      'conv=notrunc',
    ]);
    const [digestOfRoot = ''] = run(['sha256sum', root]).toString().split(' ');
    const sums = fs.readFileSync(served.file('SHA256SUMS'), 'utf8');
    fs.appendFileSync(served.file('SHA256SUMS'), `${digestOfRoot}  filesystem.squashfs\n`);
    using disk = new StandIn(memory.file('image.iso'));
    try {
      const args = [verify(digestOfRoot), '--local=root', `${server.url}/image.iso`];
      const { stderr, stdout, device } = await pull(target, disk.wrapper, ...args);
      expect(stderr).toContain('that the firmware has left in memory, verified by ');
      expect(stdout).toBe('/root.raw\n/dev/loopN\n');
      expect(sizeOf(device)).toBe(fs.statSync(root).size);
      expect(run(['unsquashfs', '-cat', device ?? '', 'etc/os-release']).toString()).toBe('ID=rdpull-live\n');
    } finally {
      fs.writeFileSync(served.file('SHA256SUMS'), sums);
      await detach(target);
    }
  });

  test('never in place of another image', async () => {
    using target = new TemporaryDirectory();
    using memory = new TemporaryDirectory();
    using disk = new StandIn(padded(memory));
    fs.writeFileSync(target.file('root.raw'), 'something else');
    const { status, stderr } = await pull(
      target,
      disk.wrapper,
      '--verify=no',
      '--local=root',
      'http://127.0.0.1:1/none.raw',
    );
    expect(status).toBe(14);
    expect(stderr).toContain(
      'rdpull: error: /root.raw exists already, and /dev/pmemN in memory was to get this name\n',
    );
    expect(fs.readFileSync(target.file('root.raw'), 'utf8')).toBe('something else');
    expect(run(['losetup', '--noheadings', '--output=BACK-FILE']).toString()).not.toContain(disk.device);
  });
});

describe('the image is downloaded', () => {
  test('when there is none in memory', async () => {
    using target = new TemporaryDirectory();
    const { stdout, requests } = await pull(
      target,
      withDisks(),
      '--verify=no',
      '--local=root',
      `${server.url}/image.raw.xz`,
    );
    expect(stdout).toBe('/root.raw\n/dev/loopN\n');
    expect(requests).toContain('GET /image.raw.xz');
    await detach(target);
  });

  test.each([
    [
      'when what lies there is another image',
      (file: string) =>
        run(['dd', 'if=/dev/urandom', `of=${file}`, 'bs=1k', 'seek=5000', 'count=1', 'conv=notrunc']),
      'rdpull: warning: /dev/pmemN in memory is not the image that was asked for: nothing vouches for its 10485760 bytes; going on with the download',
    ],
    [
      'when what lies there is no image at all',
      (file: string) => run(['dd', 'if=/dev/zero', `of=${file}`, 'bs=1M', 'count=8', 'conv=notrunc']),
      'rdpull: warning: /dev/pmemN in memory is passed over: /dev/pmemN holds neither a partition table (GPT, MBR) nor a file system that rdpull knows',
    ],
  ])('%s', async (_, spoil, warning) => {
    using target = new TemporaryDirectory();
    using memory = new TemporaryDirectory();
    const file = padded(memory);
    spoil(file);
    using disk = new StandIn(file);
    const { stdout, stderr, requests } = await pull(
      target,
      disk.wrapper,
      '--verify=checksum',
      '--local=root',
      `${server.url}/image.raw.xz`,
    );
    expect(stderr).toContain(warning);
    expect(stdout).toBe('/root.raw\n/dev/loopN\n');
    expect(requests).toContain('GET /image.raw.xz');
    await detach(target);
  });

  test('when the checksum file lists the packed image only', async () => {
    using target = new TemporaryDirectory();
    using memory = new TemporaryDirectory();
    using disk = new StandIn(padded(memory));
    const sums = fs.readFileSync(served.file('SHA256SUMS'), 'utf8');
    fs.writeFileSync(served.file('SHA256SUMS'), sums.replace(/^.* image\.raw\n/m, ''));
    try {
      const { stderr, stdout } = await pull(
        target,
        disk.wrapper,
        '--verify=checksum',
        '--local=root',
        `${server.url}/image.raw.xz`,
      );
      expect(stderr).toContain(
        `rdpull: warning: whether ${server.url}/image.raw is what lies in memory cannot be told: `,
      );
      expect(stdout).toBe('/root.raw\n/dev/loopN\n');
      await detach(target);
    } finally {
      fs.writeFileSync(served.file('SHA256SUMS'), sums);
    }
  });
});

test('check says what it is about', async () => {
  const { stdout } = await rdpull(['check', `raw,machine,ramdisk,verify=no:root:${server.url}/image.raw.xz`]);
  expect(stdout).toContain(
    'ramdisk: what the firmware leaves in memory is looked for first, at boot; what follows is about the download',
  );
  expect(stdout).toContain(`${server.url}/image.raw.xz`);
});

test('it is for disk images', async () => {
  using target = new TemporaryDirectory();
  const { stderr } = await pull(target, withDisks(), '--verify=no', 'http://127.0.0.1:1/x.tar');
  expect(stderr).toContain(
    'rdpull: warning: --ramdisk is passed over: what the firmware leaves in memory is a disk image\n',
  );
});
