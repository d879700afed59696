import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { RdpullError } from '../../src/console/rdpull-error.ts';
import { attachLoopDevice, type LoopAttachRequest } from '../../src/expose/loop-device.ts';
import { loopGetStatus } from '../../src/kernel/loop.ts';
import { AS_NOBODY } from '../fixtures/as-nobody.ts';
import { attachedTo, createScratch, sysfs } from './scratch.ts';

const MIB = 1024 * 1024;
const scratch = createScratch();
const gpt = scratch.path('gpt.raw');
const bare = scratch.path('bare.raw');

/** A GPT with an empty partition, then one with ext4 that holds the file `hello`. */
beforeAll(() => {
  fs.mkdirSync(scratch.path('tree'));
  fs.writeFileSync(scratch.path('tree/hello'), 'hello\n');
  scratch.file('bare.raw', 8 * MIB);
  scratch.run('mkfs.ext4', '-q', '-d', 'tree', bare);
  scratch.file('gpt.raw', 24 * MIB);
  scratch.run(
    'sgdisk',
    '--new=1:1M:+4M',
    '--change-name=1:ESP',
    '--new=2:8M:+8M',
    '--change-name=2:root',
    gpt,
  );
  scratch.run('dd', `if=${bare}`, `of=${gpt}`, 'bs=1M', 'seek=8', 'conv=notrunc', 'status=none');
  fs.mkdirSync(scratch.path('mnt'));
});
afterEach(() => scratch.sweep());
afterAll(() => scratch.remove());

/** The start of a program that attaches its argument, for what needs a process of its own. */
const SCRIPT = `
  const { attachLoopDevice } = await import(${JSON.stringify(path.resolve(import.meta.dir, '../../src/expose/loop-device.ts'))});
  if (process.argv.includes('as-nobody')) { ${AS_NOBODY} }
  try {
    const { device } = await attachLoopDevice({ path: process.argv.at(-1), readOnly: false });
    console.log(device);
  } catch (error) {
    console.log(error.code + ': ' + error.message + ' | ' + error.hint);
  }`;

async function failure(request: LoopAttachRequest): Promise<RdpullError> {
  try {
    await attachLoopDevice(request);
  } catch (error) {
    if (error instanceof RdpullError) return error;
    throw error;
  }
  throw new Error('it was attached');
}

function mountAndRead(device: string): string {
  scratch.run('mount', '-o', 'ro', device, scratch.path('mnt'));
  try {
    return fs.readFileSync(scratch.path('mnt/hello'), 'utf8');
  } finally {
    scratch.run('umount', scratch.path('mnt'));
  }
}

function loopRef(device: string): string {
  const fd = fs.openSync(device, 'r');
  try {
    return Buffer.from(loopGetStatus(fd).fileName).toString();
  } finally {
    fs.closeSync(fd);
  }
}

describe('attaches', () => {
  test('a GPT image with its partitions, whether or not the kernel can read the table', async () => {
    const attached = await attachLoopDevice({ path: gpt, readOnly: false });
    const { device } = attached;
    expect(attached).toEqual({
      device: expect.stringMatching(/^\/dev\/loop\d+$/),
      readOnly: false,
      directIo: expect.any(Boolean),
      sectorSize: 512,
      kind: 'gpt',
      partitions: [
        expect.objectContaining({ number: 1, path: `${device}p1`, start: MIB, size: 4 * MIB, name: 'ESP' }),
        expect.objectContaining({
          number: 2,
          path: `${device}p2`,
          start: 8 * MIB,
          size: 8 * MIB,
          name: 'root',
        }),
      ],
    });
    expect(mountAndRead(`${device}p2`)).toBe('hello\n');
    expect(
      scratch.run('losetup', '--noheadings', '-O', 'BACK-FILE,AUTOCLEAR,PARTSCAN,RO', '--list', device),
    ).toMatch(new RegExp(`^${gpt} +0 +1 +0\n$`));
  });

  test('an MBR image with logical partitions', async () => {
    const image = scratch.file('mbr.raw', 24 * MIB);
    const script =
      'start=1MiB, size=2MiB\nstart=4MiB, size=18MiB, type=5\nstart=5MiB, size=2MiB\nstart=8MiB, size=8MiB\n';
    fs.writeFileSync(scratch.path('script'), script);
    scratch.run('sh', '-c', `sfdisk --quiet --no-tell-kernel ${image} < script`);
    scratch.run('dd', `if=${bare}`, `of=${image}`, 'bs=1M', 'seek=8', 'conv=notrunc', 'status=none');
    const { device, kind, partitions } = await attachLoopDevice({ path: image, readOnly: false });
    expect(kind).toBe('mbr');
    expect(partitions.map((partition) => partition.path)).toEqual([
      `${device}p1`,
      `${device}p5`,
      `${device}p6`,
    ]);
    expect(mountAndRead(`${device}p6`)).toBe('hello\n');
  });

  test('a bare file system', async () => {
    const { device, ...rest } = await attachLoopDevice({ path: bare, readOnly: false });
    expect(rest).toMatchObject({ kind: 'file-system', fileSystem: 'ext4', sectorSize: 512, partitions: [] });
    expect(mountAndRead(device)).toBe('hello\n');
  });

  test('an image for sectors of 4096 bytes as a device with such sectors', async () => {
    const image = scratch.file('4k.raw', 24 * MIB);
    const maker = scratch.run('losetup', '--find', '--show', '--sector-size', '4096', image).trim();
    scratch.run(
      'sh',
      '-c',
      `echo 'start=8MiB, size=8MiB' | sfdisk --quiet --no-tell-kernel --label gpt ${maker}`,
    );
    scratch.run('losetup', '--detach', maker);
    scratch.run('dd', `if=${bare}`, `of=${image}`, 'bs=1M', 'seek=8', 'conv=notrunc', 'status=none');
    const { device, sectorSize } = await attachLoopDevice({ path: image, readOnly: false });
    expect(sectorSize).toBe(4096);
    expect(sysfs(`${path.basename(device)}/queue/logical_block_size`)).toBe('4096');
    expect(fs.existsSync(`${device}p1`)).toBe(true);
    expect(sysfs(`${path.basename(device)}/${path.basename(device)}p1/start`)).toBe(String((8 * MIB) / 512));
  });

  test('an image that does not end with a whole sector, with a warning', async () => {
    const image = scratch.path('odd.raw');
    fs.copyFileSync(bare, image);
    fs.appendFileSync(image, 'tail');
    const warnings: string[] = [];
    const warn = (message: string) => warnings.push(message);
    const { device } = await attachLoopDevice({ path: image, readOnly: true, warn });
    expect(warnings).toEqual([
      `${image} does not end with a whole sector: its last 4 bytes are not on the device`,
    ]);
    expect(mountAndRead(device)).toBe('hello\n');
  });

  test('the same image twice, to two devices', async () => {
    const first = await attachLoopDevice({ path: gpt, readOnly: true });
    const second = await attachLoopDevice({ path: gpt, readOnly: true });
    expect(first.device).not.toBe(second.device);
  });

  test('16 at once in one process, to 16 devices', async () => {
    const all = await Promise.all(
      Array.from({ length: 16 }, () => attachLoopDevice({ path: gpt, readOnly: true })),
    );
    expect(new Set(all.map(({ device }) => device)).size).toBe(16);
    expect(attachedTo(scratch.directory)).toHaveLength(16);
    for (const { device } of all) expect(fs.existsSync(`${device}p2`)).toBe(true);
  });

  test('16 at once in 16 processes, to 16 devices', async () => {
    const attach = async () => {
      const child = spawn(process.execPath, ['-e', SCRIPT, gpt], { stdio: ['ignore', 'pipe', 'inherit'] });
      let output = '';
      for await (const chunk of child.stdout) output += chunk;
      return output.trim();
    };
    const devices = await Promise.all(Array.from({ length: 16 }, attach));
    for (const device of devices) expect(device).toMatch(/^\/dev\/loop\d+$/);
    expect(new Set(devices).size).toBe(16);
    expect(attachedTo(scratch.directory).toSorted()).toEqual(devices.toSorted());
  }, 20_000);
});

describe('attaches what is odd, and says so:', () => {
  async function attached(file: string) {
    const warnings: string[] = [];
    const device = await attachLoopDevice({
      path: file,
      readOnly: true,
      warn: (text) => warnings.push(text),
    });
    return { ...device, warnings };
  }

  test('a damaged primary GPT, whose backup says what is there', async () => {
    const damaged = scratch.path('damaged.raw');
    fs.copyFileSync(gpt, damaged);
    scratch.run(
      'dd',
      'if=/dev/zero',
      `of=${damaged}`,
      'bs=512',
      'seek=1',
      'count=33',
      'conv=notrunc',
      'status=none',
    );
    const { device, warnings } = await attached(damaged);
    expect(mountAndRead(`${device}p2`)).toBe('hello\n');
    expect(warnings).toEqual([
      `${damaged}: damaged partition table: a protective MBR is there, but no GPT header: its backup at the end of the image is used`,
    ]);
  });

  test('an MBR of which one partition lies outside', async () => {
    const odd = scratch.file('odd.raw', 24 * MIB);
    scratch.run(
      'sh',
      '-c',
      `printf 'start=2MiB, size=4MiB\\nstart=8MiB, size=8MiB\\n' | sfdisk --quiet --no-tell-kernel --label dos ${odd}`,
    );
    scratch.run('dd', `if=${bare}`, `of=${odd}`, 'bs=1M', 'seek=8', 'conv=notrunc', 'status=none');
    const fd = fs.openSync(odd, 'r+');
    fs.writeSync(fd, Buffer.from('ffffffff', 'hex'), 0, 4, 446 + 12);
    fs.closeSync(fd);
    const { device, partitions, warnings } = await attached(odd);
    expect(partitions.map(({ path: node }) => node)).toEqual([`${device}p2`]);
    expect(mountAndRead(`${device}p2`)).toBe('hello\n');
    expect(warnings).toEqual([
      `${odd}: damaged partition table: partition 1 ends at byte 2199025352192, the image has 25165824 bytes: left out`,
    ]);
  });

  test('a file system with partitions in it, all of which can be mounted', async () => {
    const hybrid = scratch.path('hybrid.raw');
    scratch.run('mkfs.ext4', '-q', '-d', 'tree', scratch.file('hybrid.raw', 4 * MIB));
    fs.truncateSync(hybrid, 24 * MIB);
    const script = `echo 'start=8MiB, size=8MiB' | sfdisk --quiet --no-tell-kernel --wipe=never --label dos ${hybrid}`;
    scratch.run('sh', '-c', script);
    scratch.run('dd', `if=${bare}`, `of=${hybrid}`, 'bs=1M', 'seek=8', 'conv=notrunc', 'status=none');
    const { device, kind, warnings } = await attached(hybrid);
    expect(kind).toBe('file-system');
    expect(fs.existsSync(`${device}p1`)).toBe(true);
    expect(mountAndRead(`${device}p1`)).toBe('hello\n');
    expect(mountAndRead(device)).toBe('hello\n');
    expect(warnings).toEqual([]);
  });
});

describe('read-only', () => {
  function write(node: string): number | null {
    return spawnSync('dd', ['if=/dev/urandom', `of=${node}`, 'bs=4k', 'count=1', 'conv=fsync']).status;
  }

  test('means that not even root can write to the device or its partitions', async () => {
    const before = fs.readFileSync(gpt);
    const { device, readOnly } = await attachLoopDevice({ path: gpt, readOnly: true });
    expect(readOnly).toBe(true);
    expect(sysfs(`${path.basename(device)}/ro`)).toBe('1');
    for (const node of [device, `${device}p2`]) {
      expect(write(node)).not.toBe(0);
      // Root may lift the device's flag; the file behind it is still open for reading only.
      spawnSync('blockdev', ['--setrw', node]);
      expect(write(node)).not.toBe(0);
    }
    expect(fs.readFileSync(gpt).equals(before)).toBe(true);
  });

  test('is not the default: what is written arrives in the image', async () => {
    const image = scratch.path('written.raw');
    fs.copyFileSync(gpt, image);
    const { device } = await attachLoopDevice({ path: image, readOnly: false });
    scratch.run('sh', '-c', `printf written | dd of=${device}p1 conv=fsync status=none`);
    expect(fs.readFileSync(image).toString('latin1', MIB, MIB + 7)).toBe('written');
  });

  test('is what a file on a read-only file system gets, with a warning', async () => {
    const mnt = scratch.path('mnt');
    scratch.run('mount', '-t', 'tmpfs', 'rdpull', mnt);
    fs.copyFileSync(bare, `${mnt}/bare.raw`);
    scratch.run('mount', '-o', 'remount,ro', mnt);
    const warnings: string[] = [];
    const attached = await attachLoopDevice({
      path: `${mnt}/bare.raw`,
      readOnly: false,
      warn: (message) => warnings.push(message),
    });
    expect(attached.readOnly).toBe(true);
    expect(sysfs(`${path.basename(attached.device)}/ro`)).toBe('1');
    expect(warnings).toEqual([`${mnt}/bare.raw cannot be opened for writing: it is attached read-only`]);
  });
});

describe('the loop-ref', () => {
  test('is the name of the file', async () => {
    expect(loopRef((await attachLoopDevice({ path: gpt, readOnly: true })).device)).toBe('gpt.raw');
  });

  test('is what was asked for, up to 62 bytes', async () => {
    const name = `${'x'.repeat(60)}ä`;
    const warnings: string[] = [];
    const warn = (message: string) => warnings.push(message);
    expect(loopRef((await attachLoopDevice({ path: gpt, readOnly: true, loopRef: name, warn })).device)).toBe(
      name,
    );
    expect(warnings).toEqual([]);
  });

  test.each([63, 64, 200])('of %d bytes is one that udev ignores, with a warning', async (length) => {
    const warnings: string[] = [];
    const { device } = await attachLoopDevice({
      path: gpt,
      readOnly: true,
      loopRef: 'y'.repeat(length),
      warn: (message) => warnings.push(message),
    });
    expect(loopRef(device)).toBe('y'.repeat(63));
    expect(warnings).toEqual([
      `the loop-ref ${'y'.repeat(length)} is ${length} bytes long, more than 62: there will be no link in /dev/disk/by-loop-ref`,
    ]);
  });

  test.each(['', 'a\0b'])('%p is refused', async (name) => {
    expect((await failure({ path: gpt, readOnly: true, loopRef: name })).code).toBe('bad-argument');
  });
});

describe('direct I/O', () => {
  afterEach(() => {
    delete process.env['SYSTEMD_LOOP_DIRECT_IO'];
  });

  test('is on where the file system can, and reported as the kernel has it', async () => {
    const mnt = scratch.path('mnt');
    scratch.run('mount', '-t', 'tmpfs', 'rdpull', mnt);
    fs.copyFileSync(bare, `${mnt}/bare.raw`);
    for (const image of [bare, `${mnt}/bare.raw`]) {
      const { device, directIo } = await attachLoopDevice({ path: image, readOnly: false });
      expect(sysfs(`${path.basename(device)}/loop/dio`)).toBe(directIo ? '1' : '0');
      expect(mountAndReadElsewhere(device)).toBe('hello\n');
    }
  });

  test.each(['0', 'no', 'False', 'off'])('is off with SYSTEMD_LOOP_DIRECT_IO=%s', async (value) => {
    process.env['SYSTEMD_LOOP_DIRECT_IO'] = value;
    const { device, directIo } = await attachLoopDevice({ path: bare, readOnly: false });
    expect(directIo).toBe(false);
    expect(sysfs(`${path.basename(device)}/loop/dio`)).toBe('0');
  });

  function mountAndReadElsewhere(device: string): string {
    const directory = scratch.path('elsewhere');
    fs.mkdirSync(directory, { recursive: true });
    scratch.run('mount', '-o', 'ro', device, directory);
    try {
      return fs.readFileSync(`${directory}/hello`, 'utf8');
    } finally {
      scratch.run('umount', directory);
    }
  }
});

describe('leaves no device behind', () => {
  afterEach(() => expect(attachedTo(scratch.directory)).toEqual([]));

  test('of an image that it does not recognise', async () => {
    const error = await failure({ path: scratch.file('zeros.raw', MIB), readOnly: false });
    expect(error.code).toBe('image-unrecognised');
  });

  test('of a truncated image', async () => {
    const image = scratch.path('short.raw');
    fs.copyFileSync(gpt, image);
    fs.truncateSync(image, 10 * MIB);
    const error = await failure({ path: image, readOnly: false });
    expect(error.code).toBe('image-unrecognised');
    expect(error.message).toBe(
      `${image}: damaged partition table: the image has ${10 * MIB} bytes, its GPT needs at least 25148928`,
    );
  });

  test.each([
    [
      'a file that is not there',
      '/nonexistent/image.raw',
      'file-not-found',
      '/nonexistent/image.raw does not exist',
    ],
    ['a directory', '/usr', 'bad-argument', '/usr is not a regular file'],
    ['a device', '/dev/null', 'bad-argument', '/dev/null is not a regular file'],
  ] as const)('for %s', async (_, file, code, message) => {
    const error = await failure({ path: file, readOnly: false });
    expect(error.code).toBe(code);
    expect(error.message).toBe(message);
  });

  test('without root', () => {
    fs.chmodSync(scratch.directory, 0o755);
    expect(scratch.run(process.execPath, '-e', SCRIPT, 'as-nobody', gpt)).toBe(
      'not-root: attaching or detaching a loop device needs root (CAP_SYS_ADMIN) | run it again as root\n',
    );
  });

  test.each([
    ['is not there', 'mount -t tmpfs none /dev', 'is not there'],
    ['is a file of another kind', 'mount --bind /dev/null /dev/loop-control', 'is something else'],
  ])('where /dev/loop-control %s', (_, arrange, why) => {
    const output = scratch.run(
      'unshare',
      '--mount',
      'sh',
      '-c',
      `${arrange} && exec "$@"`,
      'sh',
      process.execPath,
      '-e',
      SCRIPT,
      gpt,
    );
    expect(output).toBe(
      `loop-missing: this system has no loop devices: /dev/loop-control ${why} | load the module with "modprobe loop"; ` +
        'an initrd must hold it: add_drivers+=" loop " for dracut, KernelModules=loop for mkosi\n',
    );
  });
});

describe('as strace sees it', () => {
  const log = scratch.path('strace');

  /** Attaches in a process of its own, under strace with `options`. Returns the lines of the trace. */
  function trace(...options: string[]): string[] {
    spawnSync('strace', ['-f', '-v', '-s', '80', '-o', log, ...options, process.execPath, '-e', SCRIPT, gpt]);
    return fs.readFileSync(log, 'utf8').split('\n');
  }

  test('locks come first and go last, PARTSCAN comes after LOOP_CONFIGURE, AUTOCLEAR goes when all is done', () => {
    const lines = trace('-e', 'trace=ioctl,flock,openat,close');
    const descriptors = new Map<string, string>();
    const story: string[] = [];
    for (const line of lines) {
      const [, call = '', fd = ''] = /^\d+ +(\w+)\((\w+)/.exec(line) ?? [];
      const opened =
        /openat\(AT_FDCWD, "(\/dev\/loop-control|\/dev\/loop\d+(?:p\d+)?)", (\S+?)[,)].* = (\d+)/.exec(line);
      if (opened !== null) {
        const [, file = '', flags = '', number = ''] = opened;
        expect(flags).toContain('O_CLOEXEC');
        const name = `${file.replace(/^\/dev\/loop\d+/, 'loopN').replace('/dev/loop-', '')} ${flags.split('|')[0]}`;
        descriptors.set(number, name);
        story.push(`open ${name}`);
      } else if (call === 'close' && descriptors.has(fd)) {
        story.push(`close ${descriptors.get(fd)}`);
        descriptors.delete(fd);
      } else if (call === 'flock') {
        story.push(`lock ${descriptors.get(fd)}`);
      } else if (call === 'ioctl' && descriptors.has(fd)) {
        const request = /(?:LOOP_\w+|BLKPG_\w+)/.exec(line)?.[0];
        const flags = /lo_flags=(\w+(?:\|\w+)*)/
          .exec(line)?.[1]
          ?.replaceAll('LO_FLAGS_', '')
          .replace('|DIRECT_IO', '');
        const changes = request === 'LOOP_CONFIGURE' || request === 'LOOP_SET_STATUS64';
        story.push(changes ? `${request} ${flags}` : `${request}`);
        if (request === 'LOOP_CONFIGURE') expect(line).toContain('block_size=512');
        if (changes) expect(line).toContain('lo_file_name="gpt.raw"');
      }
    }
    // From the first lock on: before that it is looked whether there are loop devices at all.
    expect(story.slice(story.indexOf('lock control O_RDWR'))).toEqual([
      'lock control O_RDWR',
      'LOOP_CTL_GET_FREE',
      'open loopN O_RDWR',
      'open loopN O_RDONLY',
      'lock loopN O_RDONLY',
      'LOOP_GET_STATUS64',
      'LOOP_CONFIGURE AUTOCLEAR',
      'close control O_RDWR',
      'open loopN O_RDONLY',
      'close loopN O_RDONLY',
      'LOOP_GET_STATUS64',
      'LOOP_SET_STATUS64 AUTOCLEAR|PARTSCAN',
      'BLKPG_ADD_PARTITION',
      'open loopNp1 O_RDONLY',
      'BLKPG_ADD_PARTITION',
      'open loopNp2 O_RDONLY',
      'LOOP_GET_STATUS64',
      'LOOP_SET_STATUS64 PARTSCAN',
      'close loopNp1 O_RDONLY',
      'close loopNp2 O_RDONLY',
      'close loopN O_RDONLY',
      'close loopN O_RDWR',
    ]);
  });

  test('when the kernel refuses a partition after it has taken others, no device stays', () => {
    const calls = trace('-e', 'trace=ioctl').filter((line) => line.includes(' ioctl('));
    const [, second = ''] = calls.filter((line) => line.includes('BLKPG_ADD_PARTITION'));
    const [thread = ''] = second.split(' ');
    const when = calls.filter((line) => line.startsWith(`${thread} `)).indexOf(second) + 1;
    scratch.sweep();
    const injected = ['-f', '-o', log, '-e', 'trace=ioctl', '-e', `inject=ioctl:error=EINVAL:when=${when}`];
    const { stdout } = spawnSync('strace', [...injected, process.execPath, '-e', SCRIPT, gpt], {
      encoding: 'utf8',
    });
    expect(stdout).toMatch(
      /^loop-failed: the kernel refuses partition 2 \(8388608 bytes at 8388608\) on \/dev\/loop\d+: ioctl\(BLKPG_ADD_PARTITION\): EINVAL /,
    );
    expect(attachedTo(scratch.directory)).toEqual([]);
  });

  test('partitions of an earlier image are cleared away before the device is used again', () => {
    for (let attempt = 0; ; attempt++) {
      expect(attempt).toBeLessThan(10);
      // Without PARTSCAN the kernel forgets to drop them.
      const device = scratch.run('losetup', '--find', '--show', bare).trim();
      scratch.run('addpart', device, '7', '2048', '2048');
      scratch.run('losetup', '--detach', device);
      const calls = trace('-e', 'trace=ioctl').flatMap(
        (line) => /LOOP_CTL_\w+|LOOP_CONF\w+|BLKPG_DEL\w+/.exec(line) ?? [],
      );
      const [attached = ''] = attachedTo(scratch.directory);
      expect(fs.existsSync(`${attached}p7`)).toBe(false);
      scratch.sweep();
      // Somebody else on this machine may have been given the device.
      if (attached !== device) continue;
      expect(calls).toEqual([
        'LOOP_CTL_GET_FREE',
        'BLKPG_DEL_PARTITION',
        'LOOP_CTL_GET_FREE',
        'LOOP_CONFIGURE',
      ]);
      return;
    }
  });

  describe('a partition that is there already', () => {
    /** Holds the attach after the scan that PARTSCAN starts, and makes partition 1 as a kernel's scan might. */
    async function attachWhileKernelAdds(start: number, sectors: number): Promise<string> {
      const ioctls = trace('-e', 'trace=ioctl').filter((line) => line.includes('ioctl('));
      scratch.sweep();
      const scan = ioctls.findIndex((line) => /LOOP_SET_STATUS64.*PARTSCAN/.test(line)) + 1;
      const delay = ['-e', 'trace=ioctl', '-e', `inject=ioctl:delay_exit=500000:when=${scan}`];
      const child = spawn('strace', ['-f', '-qq', '-o', log, ...delay, process.execPath, '-e', SCRIPT, gpt], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let name = '';
      while (sysfs(`${name}/loop/partscan`) !== '1') {
        await new Promise((resolve) => setTimeout(resolve, 5));
        name = path.basename(attachedTo(scratch.directory)[0] ?? '');
      }
      scratch.run('addpart', `/dev/${name}`, '1', String(start), String(sectors));
      let output = '';
      for await (const chunk of child.stdout) output += chunk;
      return output.trim();
    }

    test('is taken as it is when it is the right one', async () => {
      const device = await attachWhileKernelAdds(2048, 8192);
      expect(attachedTo(scratch.directory)).toEqual([device]);
      expect(fs.existsSync(`${device}p1`) && fs.existsSync(`${device}p2`)).toBe(true);
    });

    test('fails the attach when it is another one', async () => {
      expect(await attachWhileKernelAdds(2048, 8191)).toContain(
        'loop-failed: the kernel refuses partition 1 (4194304 bytes at 1048576)',
      );
      expect(attachedTo(scratch.directory)).toEqual([]);
    });
  });

  test('a process killed at any of its ioctls leaves no device, or a complete one', () => {
    let complete = 0;
    let killed = 0;
    for (let count = 1; complete === 0; count++) {
      expect(count).toBeLessThan(30);
      const lines = trace('-e', 'trace=ioctl', '-e', `inject=ioctl:signal=SIGKILL:when=${count}`);
      const last = lines.filter((line) => line.includes('ioctl(')).at(-1) ?? '';
      const [device] = attachedTo(scratch.directory);
      if (device === undefined) {
        killed++;
        continue;
      }
      // Only the call that clears AUTOCLEAR, the last one, can have let it stay.
      expect(last).toContain('lo_flags=LO_FLAGS_PARTSCAN');
      expect(fs.existsSync(`${device}p1`) && fs.existsSync(`${device}p2`)).toBe(true);
      complete++;
      scratch.sweep();
    }
    expect(killed).toBeGreaterThan(6);
  }, 20_000);
});
