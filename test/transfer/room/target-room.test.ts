import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { noiseOf } from '../../fixtures/noise.ts';
import { run } from '../../fixtures/run.ts';
import { type SlowServer, startSlowServer } from '../../fixtures/slow-server.ts';
import { fileUrl, type Machine, onSmallMachine, withoutBlocks } from '../../fixtures/small-machine.ts';
import { TemporaryDirectory } from '../../fixtures/temporary-directory.ts';

const MIB = 1024 * 1024;
const served = new TemporaryDirectory();
let slow: SlowServer;

/** 28 MiB of its RAM are for images. */
const INITRD: Machine = {
  available: 220,
  mount: 'mount -t tmpfs -o size=4m,nr_inodes=500 tmpfs "$run"',
  initrd: true,
};
const TOO_LITTLE: Machine = { ...INITRD, available: 196 };
const HOST: Machine = { ...INITRD, initrd: false };

beforeAll(async () => {
  const noise = noiseOf(6 * MIB);
  served.write('noise.raw', noise);
  served.write('small.raw', noise.subarray(0, MIB));
  run(['xz', '-0', '-k', '-T2', '--block-size=1MiB', served.file('noise.raw')]);
  run(['zstd', '-q', served.file('noise.raw')]);
  run(['gzip', '-1', '-k', served.file('noise.raw')]);
  run(['bzip2', '-1', '-k', served.file('noise.raw')]);
  served.write('cut.raw.gz', fs.readFileSync(served.file('noise.raw.gz')).subarray(0, 3 * MIB));
  // 64 MiB, of which 1 MiB are not holes.
  const sparse = Buffer.alloc(64 * MIB);
  sparse.set(noise.subarray(0, MIB), 20 * MIB);
  served.write('sparse.raw', sparse);
  run(['xz', '-0', '-k', '-T2', '--block-size=4MiB', served.file('sparse.raw')]);
  // Nothing says that these are 40 MiB without a hole.
  run(['sh', '-c', `yes | head -c 40M | gzip -1 > ${served.file('text.raw.gz')}`]);
  run(['sh', '-c', `yes | head -c 40M | zstd -q > ${served.file('text.raw.zst')}`]);
  fs.mkdirSync(served.file('tree/etc'), { recursive: true });
  for (let number = 0; number < 600; number++) served.write(`tree/etc/${number}`, '');
  run(['tar', '-czf', served.file('tree.tar.gz'), '-C', served.file('tree'), '.']);
  slow = await startSlowServer(noise, 20_000);
});
afterAll(async () => {
  await slow[Symbol.asyncDispose]();
  served[Symbol.dispose]();
});

const pull = (name: string, ...options: string[]) =>
  `$rdpull pull --verify=no --image-root=$target ${options.join(' ')} ${fileUrl(served, name)}`;

describe('in an initrd, an image that RAM can hold, and a fifth of it cannot,', () => {
  test.each(['noise.raw', 'noise.raw.xz', 'noise.raw.zst', 'noise.raw.gz', 'noise.raw.bz2'])(
    'is written, and the tmpfs becomes larger by its size: %s',
    async (name) => {
      const { status, stderr, files, total, inodes } = await onSmallMachine(INITRD, pull(name));
      expect({ status, stderr }).toEqual({ status: 0, stderr: expect.stringContaining('6.0 MiB written') });
      expect(files.map(withoutBlocks)).toEqual([`machines/noise.raw ${6 * MIB}`]);
      expect({ total, inodes }).toEqual({ total: 10 * MIB, inodes: 500 });
    },
  );

  test('is written beside one that lies there already, and beside one that comes at the same time', async () => {
    const both = `${pull('noise.raw.gz', '--local=one')} & ${pull('noise.raw.xz', '--local=two')} && wait $!`;
    const { status, files } = await onSmallMachine(INITRD, `${pull('small.raw')} && ${both}`);
    expect(status).toBe(0);
    expect(files.map(withoutBlocks)).toEqual([
      `machines/one.raw ${6 * MIB}`,
      `machines/small.raw ${MIB}`,
      `machines/two.raw ${6 * MIB}`,
    ]);
  });

  test('can be attached and detached there', async () => {
    const { status, stdout } = await onSmallMachine(
      INITRD,
      `${pull('noise.raw.xz')} && mkfs.ext4 -q $target/noise.raw && ` +
        '$rdpull attach $target/noise.raw && $rdpull detach $target/noise.raw && losetup -j $target/noise.raw',
    );
    expect(status).toBe(0);
    expect(stdout).toMatch(/^\S+\/noise\.raw\n\/dev\/loop\d+\n$/);
  });

  test('is written after a crash, too', async () => {
    const { status, stderr, files } = await onSmallMachine(
      INITRD,
      `$rdpull pull --verify=no --image-root=$target ${slow.url}/noise.raw & crashed=$!
       until find $target -type f -size +0 | grep -q .; do sleep 0.05; done
       kill -9 $crashed
       wait $crashed
       ${pull('noise.raw.xz', '--local=next')}`,
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: expect.stringContaining('6.0 MiB written') });
    expect(files.map(withoutBlocks)).toContain(`machines/next.raw ${6 * MIB}`);
  });

  test('is written by the service, with no more than its unit permits', async () => {
    const { status, stderr, files } = await onSmallMachine(
      INITRD,
      `units=$(mktemp -d)
       SYSTEMD_PROC_CMDLINE=rd.systemd.pull=raw,machine::http://h/x.raw $rdpull generate $units
       denied=$(sed -n 's/^CapabilityBoundingSet=~//p' $units/*.service | tr A-Z a-z | sed 's/cap_/-/g; s/ /,/g')
       rm -r $units
       echo "without $denied" >&2
       exec setpriv --no-new-privs --bounding-set=$denied ${pull('noise.raw.xz').replace('$rdpull', '"$rdpull"')}`,
    );
    expect(stderr).toMatch(/^without -audit_control,.*,-syslog$/m);
    expect({ status, stderr }).toEqual({ status: 0, stderr: expect.stringContaining('6.0 MiB written') });
    expect(files.map(withoutBlocks)).toEqual([`machines/noise.raw ${6 * MIB}`]);
  });

  test('leaves the tmpfs as it was when a signal ends it', async () => {
    const { stderr, files, total } = await onSmallMachine(
      INITRD,
      `$rdpull pull --verify=no --image-root=$target ${slow.url}/noise.raw & ended=$!
       until find $target -type f -size +0 | grep -q .; do sleep 0.05; done
       stat -f --format='while it runs: %b' $run >&2
       kill $ended
       wait $ended`,
    );
    const blocks = Number(/^while it runs: (\d+)$/m.exec(stderr)?.[1]);
    expect(blocks * 4096).toBeGreaterThan(20 * MIB);
    expect({ files, total }).toEqual({ files: [], total: 4 * MIB });
  });

  test('leaves the tmpfs as it was when it turns out to be broken', async () => {
    const { status, files, total, inodes } = await onSmallMachine(INITRD, pull('cut.raw.gz'));
    expect(status).toBe(12);
    expect(files).toEqual([]);
    expect({ total, inodes }).toEqual({ total: 4 * MIB, inodes: 500 });
  });
});

test('an image that needs little changes nothing', async () => {
  const { status, total } = await onSmallMachine(INITRD, pull('small.raw'));
  expect({ status, total }).toEqual({ status: 0, total: 4 * MIB });
});

test('holes take no room where the index of an .xz file tells them', async () => {
  const { status, files, total } = await onSmallMachine(INITRD, pull('sparse.raw.xz'));
  expect(status).toBe(0);
  expect(files).toEqual([`machines/sparse.raw ${64 * MIB} ${(MIB / 512).toString()}`]);
  // As much as the machine has: a root file system that is written to fills its holes.
  expect(total).toBeGreaterThan(20 * MIB);
  expect(total).toBeLessThan(30 * MIB);
});

describe('an image that the RAM cannot hold is refused before its first byte, with the figures:', () => {
  test.each([
    ['noise.raw', 'the image is 6.0 MiB after decompression'],
    ['noise.raw.xz', 'the image is 6.0 MiB after decompression'],
    ['noise.raw.zst', 'the image is at least 6.0 MiB after decompression'],
    [
      'noise.raw.gz',
      'the image needs 5.4 MiB or more (its format does not say how much it is after decompression)',
    ],
  ])('%s', async (name, what) => {
    const { status, stderr, files, total } = await onSmallMachine(TOO_LITTLE, pull(name));
    expect(status).toBe(14);
    const [error = '', hint = ''] = stderr.split('\n');
    expect(error).toBe(
      `rdpull: error: ${fileUrl(served, name)}: ${what}, and this machine has RAM for 4.0 MiB, 196 MiB being available of which the system keeps 192 MiB`,
    );
    expect(hint).toStartWith('rdpull: try: give the machine more RAM');
    expect(files).toEqual([]);
    expect(total).toBe(4 * MIB);
  });

  test('with --overcommit it is tried', async () => {
    const { status, stderr, files } = await onSmallMachine(TOO_LITTLE, pull('sparse.raw', '--overcommit'));
    expect({ status, stderr }).toEqual({ status: 0, stderr: expect.stringContaining('64.0 MiB written') });
    expect(files.map(withoutBlocks)).toEqual([`machines/sparse.raw ${64 * MIB}`]);
  });

  test('on a file system in RAM that has no limit of its own', async () => {
    const ramfs = { ...TOO_LITTLE, mount: 'mount -t ramfs ramfs "$run"' };
    const { status, stderr } = await onSmallMachine(ramfs, pull('noise.raw'));
    expect(status).toBe(14);
    expect(stderr).toContain('this machine has RAM for 4.0 MiB, 196 MiB being available');
  });
});

test.each(['text.raw.gz', 'text.raw.zst'])(
  'an image whose size nobody knows ends where the RAM does, with the figures, and leaves nothing: %s',
  async (name) => {
    const { status, stderr, files, total } = await onSmallMachine(INITRD, pull(name));
    expect(status).toBe(14);
    expect(stderr).toMatch(
      /the file system of \S+\/run\/machines is full: 2\d\.\d MiB of the image were written, and it holds 2\d\.\d MiB in all$/m,
    );
    expect(stderr).toContain('it lies in RAM: give the machine more');
    expect(files).toEqual([]);
    expect(total).toBe(4 * MIB);
  },
);

describe('on a running host, where the size of a tmpfs is the administrator’s', () => {
  test('an image that does not fit is refused, with the command that enlarges it', async () => {
    const { status, stderr, total } = await onSmallMachine(HOST, pull('noise.raw.xz'));
    expect(status).toBe(14);
    expect(stderr).toMatch(/and the tmpfs of \S+ has room for 4\.0 MiB of 4\.0 MiB$/m);
    expect(stderr).toMatch(/^rdpull: try: enlarge it: mount -o remount,size=6M \/\S+\/run; or name/m);
    expect(total).toBe(4 * MIB);
  });

  test('the command does it', async () => {
    const { status } = await onSmallMachine(HOST, `mount -o remount,size=6M $run && ${pull('noise.raw.xz')}`);
    expect(status).toBe(0);
  });

  test('it is refused where the tmpfs would hold it, and the RAM does not', async () => {
    const { stderr } = await onSmallMachine({ ...HOST, available: 2 }, pull('noise.raw'));
    expect(stderr).toContain('and this machine has RAM for 2.0 MiB, 2.0 MiB being available\n');
  });
});

describe('a tree', () => {
  test('of more files than the tmpfs takes is unpacked in an initrd', async () => {
    const { status, files, total, inodes } = await onSmallMachine(INITRD, pull('tree.tar.gz'));
    expect(status).toBe(0);
    expect(files.length).toBe(600);
    expect(inodes).toBe(500 + 602);
    expect(total).toBeGreaterThan(4 * MIB);
  });

  test('ends elsewhere when the inodes do, which is told from a full disk', async () => {
    const { status, stderr, files } = await onSmallMachine(HOST, pull('tree.tar.gz'));
    expect(status).toBe(14);
    expect(stderr).toContain('has no inodes left (it has 500)');
    expect(stderr).toMatch(/^rdpull: try: give it more: mount -o remount,nr_inodes=1000 \/\S+\/run; or/m);
    expect(files).toEqual([]);
  });
});

describe('on a disk', () => {
  const disk = (options = '') => ({
    ...INITRD,
    mount: `truncate -s 6M "$run.img" && mkfs.ext4 -q ${options} "$run.img" && mount -o loop "$run.img" "$run"`,
  });

  test.each(['noise.raw', 'noise.raw.xz', 'noise.raw.zst', 'noise.raw.gz'])(
    'what does not fit is refused: %s',
    async (name) => {
      const { status, stderr, files } = await onSmallMachine(disk(), pull(name));
      expect(status).toBe(14);
      expect(stderr).toMatch(/, and the file system of \S+ has room for \d\.\d MiB of \d\.\d MiB$/m);
      expect(stderr).toContain('try: make room, or name a larger file system with --image-root=DIR; if the');
      expect(files).toEqual([]);
    },
  );

  test('what is larger than it said ends with the figures, and leaves nothing', async () => {
    const { status, stderr, files } = await onSmallMachine(disk(), pull('text.raw.gz'));
    expect(status).toBe(14);
    expect(stderr).toMatch(/is full: \d\.\d MiB of the image were written, and it holds \d\.\d MiB in all$/m);
    expect(files).toEqual([]);
  });

  test('inodes that run out are told from a full disk', async () => {
    const { status, stderr, files } = await onSmallMachine(disk('-N 64'), pull('tree.tar.gz'));
    expect(status).toBe(14);
    expect(stderr).toMatch(/has no inodes left \(it has 64\)/);
    expect(stderr).toContain('mkfs.ext4 -N NUMBER');
    expect(files).toEqual([]);
  });

  test('one that is mounted read-only is named as such', async () => {
    const { status, stderr } = await onSmallMachine(
      disk(),
      `mkdir $target && mount -o remount,ro $run && ${pull('small.raw')}`,
    );
    expect(status).toBe(14);
    expect(stderr).toMatch(/\/machines cannot be written to: the file system is read-only$/m);
    expect(stderr).toContain('dmesg');
  });

  test('one whose device fails is named as such', async () => {
    const { mount } = disk();
    const shrunk = 'truncate -s 2M "$run.img" && losetup -c "$(losetup -nO NAME -j "$run.img")"';
    const { status, stderr, files } = await onSmallMachine(
      { ...INITRD, mount: `${mount.replace('6M', '32M')} && mkdir "$run/machines" && sync && ${shrunk}` },
      pull('noise.raw'),
    );
    expect(status).toBe(14);
    expect(stderr).toMatch(/writing below \S+\/machines failed.*: the disk reports an error \(EIO\)$/m);
    expect(stderr).toContain('try: look at the kernel log (dmesg)');
    expect(files).toEqual([]);
  });

  test('one whose device has no room itself is named as such', async () => {
    // The file behind the device finds no room for what ext4 believes to have written.
    const thin =
      'mount -t tmpfs -o size=4m tmpfs "$run" && truncate -s 32M "$run/img" && mkfs.ext4 -q "$run/img" && mount -o loop "$run/img" "$run"';
    const { status, stderr, files } = await onSmallMachine({ ...INITRD, mount: thin }, pull('noise.raw'));
    expect(status).toBe(14);
    expect(stderr).toMatch(
      /reports that it is full, although [12]\d\.\d MiB of 2\d\.\d MiB are free(?:; the image is .*)?$/m,
    );
    expect(files).toEqual([]);
  });

  test('a file that may not become so large is named as such', async () => {
    const { status, stderr, files } = await onSmallMachine(
      INITRD,
      `trap '' XFSZ; ulimit -f 2048; ${pull('noise.raw')}`,
    );
    expect(status).toBe(14);
    expect(stderr).toMatch(/cannot become larger: 1\.0 MiB of the image were written/);
    expect(files).toEqual([]);
  });
});
