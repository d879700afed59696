import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { rdpull } from '../fixtures/executable.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { run } from '../fixtures/run.ts';
import { startSlowServer } from '../fixtures/slow-server.ts';
import { tarMember } from '../fixtures/tar.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const work = new TemporaryDirectory();
const sh = (command: string) => run(['sh', '-c', command], { cwd: work.path });

beforeAll(() => {
  fs.mkdirSync(work.file('tree/etc'), { recursive: true });
  work.write('tree/etc/os-release', 'ID=x\n');
  sh('truncate -s 8M disk.raw && mkfs.ext4 -q disk.raw && tar -cf tree.tar -C tree .');
  sh("truncate -s 8M parted.raw && echo 'start=1MiB' | sfdisk --quiet --no-tell-kernel parted.raw");
  sh(
    'mksquashfs tree fs.squashfs -quiet -no-progress && truncate -s 128M fs.btrfs && mkfs.btrfs -q fs.btrfs',
  );
  sh('qemu-img convert -O vmdk disk.raw disk.vmdk && qemu-img convert -O vdi disk.raw disk.vdi');
  sh('qemu-img convert -O vpc -o subformat=fixed disk.raw disk.vhd && genisoimage -quiet -o disk.iso tree');
});
afterAll(() => work[Symbol.dispose]());

/** Pulls what `command` makes, and gives back what was said of it. */
async function pulled(
  type: 'raw' | 'tar',
  file: string,
): Promise<{ status?: number | undefined; said: string }> {
  using target = new TemporaryDirectory();
  const url = `file://${work.file(file)}`;
  const { status, stderr } = await rdpull([
    ...['pull', '--quiet', '--verify=no', `--type=${type}`, '--local=x', `--image-root=${target.path}`, url],
  ]);
  const left = target.names();
  expect(left).toEqual(status === 0 ? [type === 'raw' ? 'x.raw' : 'x'] : []);
  return { status, said: stderr.replaceAll(`${url}: `, '') };
}

const refused = (message: string, hint: string) => ({
  status: 12,
  said: `rdpull: error: ${message}\nrdpull: try: ${hint}\n`,
});
const VMDK = 'unpack it, then convert it: qemu-img convert -O raw IMAGE.vmdk IMAGE.raw';

describe('what comes out of decompression is looked at as well:', () => {
  test.each([
    ['xz', 'xz -c'],
    ['xz', 'xz -T2 --block-size=65536 -c'],
    ['zstd', 'zstd -q -c'],
    ['gzip', 'gzip -c'],
    ['bzip2', 'bzip2 -c'],
  ])('a VMDK image within %s (%s)', async (format, pack) => {
    sh(`${pack} disk.vmdk > packed`);
    const message = `the file is a VMDK image packed with ${format}, and rdpull reads raw images and tarballs`;
    expect(await pulled('raw', 'packed')).toEqual(refused(message, VMDK));
    expect(await pulled('tar', 'packed')).toEqual(refused(message, VMDK));
  });

  test('however small its pieces are', async () => {
    sh('(head -c 3 disk.vdi | zstd -q; tail -c +4 disk.vdi | zstd -q) > packed');
    expect((await pulled('raw', 'packed')).said).toContain('the file is a VDI image packed with zstd');
  });

  test.each(['disk.vhd', 'disk.vhd.gz'])(
    'a VHD image of fixed size, which its end tells, before it is published: %s',
    async (file) => {
      sh('gzip -kf disk.vhd');
      expect((await pulled('raw', file)).said).toContain('the file is a VHD image of fixed size');
    },
  );
});

describe('a tarball and a disk image are told apart:', () => {
  test.each(['tree.tar', 'tree.tar.xz'])('%s, said to be raw', async (file) => {
    sh('xz -kf tree.tar');
    expect(await pulled('raw', file)).toEqual(
      refused('the file is a tarball, not a disk image', 'say tar in place of raw, or --type=tar'),
    );
  });

  test.each([
    ['disk.raw', 'ext4'],
    ['fs.squashfs', 'squashfs'],
    ['fs.btrfs', 'btrfs'],
    ['disk.iso', 'iso9660'],
    ['parted.raw', 'with a partition table'],
  ])('%s, said to be a tarball', async (file, what) => {
    expect(await pulled('tar', file)).toEqual(
      refused(`the file is a disk image (${what}), not a tarball`, 'say raw in place of tar, or --type=raw'),
    );
  });

  test('what is what it is said to be passes, also an ISO image, a tarball before POSIX, and one of nothing', async () => {
    for (const image of ['disk.raw', 'disk.iso', 'fs.squashfs', 'parted.raw'])
      expect(await pulled('raw', image)).toEqual({ status: 0, said: '' });
    sh('tar --format=v7 -cf v7.tar -C tree . && tar -cf empty.tar -T /dev/null');
    for (const tarball of ['tree.tar', 'v7.tar', 'empty.tar'])
      expect((await pulled('tar', tarball)).status).toBe(0);
  });
});

/** What tells other formats, as the name of a member: latin1, because names are bytes. */
const MAGIC_NAMES = [
  ...['BZh9', 'BZh91AY&SY', '\x1f\x8b', '\xfd7zXZ', '\x28\xb5\x2f\xfd', '\x50\x2a\x4d\x18'],
  ...['LZIP', '\x1f\x9d', 'LRZI', '\x04\x22\x4d\x18', '\x25\xb5\x2f\xfd', "7z\xbc\xaf'\x1c", 'PK\x03\x04'],
  ...['KDMV', 'COWD', '# Disk DescriptorFile', 'vhdxfile', 'conectix', 'QED', 'WithoutFreeSpace'],
  ...['\x3a\xff\x26\xed', '\x37\xa4\x30\xec', 'QFI\xfb', '<html', '<!doctype html'],
];

test.each(MAGIC_NAMES.map((name) => [JSON.stringify(name), name] as const))(
  'a tarball is one whatever its first member is called: %s',
  async (_, name) => {
    const first = tarMember({ name: Buffer.from(name, 'latin1') });
    work.write('named.tar', Buffer.concat([first, fs.readFileSync(work.file('tree.tar'))]));
    for (const file of ['named.tar', 'named.tar.gz']) {
      sh('gzip -kf named.tar');
      expect((await pulled('tar', file)).status).toBe(0);
      expect((await pulled('raw', file)).said).toContain('the file is a tarball, not a disk image');
    }
  },
);

test.each(['vmdk', 'vmdk.zst'])('it is known when the first bytes have arrived (%s)', async (suffix) => {
  work.write('noise', noiseOf(32 * 1024 * 1024));
  sh('qemu-img convert -O vmdk noise noise.vmdk && zstd -q -f noise.vmdk');
  await using slow = await startSlowServer(fs.readFileSync(work.file(`noise.${suffix}`)), 60_000);
  using target = new TemporaryDirectory();
  const begun = performance.now();
  const { stderr } = await rdpull([
    'pull',
    '--verify=no',
    `--image-root=${target.path}`,
    `${slow.url}/x.raw`,
  ]);
  expect(stderr).toContain('VMDK image');
  expect(performance.now() - begun).toBeLessThan(20_000);
});
