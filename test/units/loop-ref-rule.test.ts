import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { rdpull } from '../fixtures/executable.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const RULE = path.resolve(import.meta.dir, '../../units/60-rdpull-loop-ref.rules');

const directory = new TemporaryDirectory();
let device = '';

beforeAll(async () => {
  const source = directory.file('source.img');
  run(['truncate', '-s', '8M', source]);
  run(['sgdisk', '-n', '1:0:+1M', '-n', '2:0:0', source]);
  const args = ['pull', '--verify=no', '--blockdev', '--local=my root', `--image-root=${directory.path}`];
  const { stdout, stderr } = await rdpull([...args, `file://${source}`]);
  device = stdout.split('\n')[1] ?? '';
  if (!device.startsWith('/dev/loop')) throw new Error(stderr);
});
afterAll(async () => {
  await rdpull(['detach', device]);
  directory[Symbol.dispose]();
});

const loopRefFile = () => path.join('/run/rdpull/loop-ref', directory.file('my root.raw'));

/** The links that udev's rules, and nothing but ours of them, give to a device. */
function links(name: string, rules: string): string[] {
  // udevadm makes links and writes udev's database: not this machine's.
  const hidden = ['/usr/lib/udev/rules.d', '/etc/udev/rules.d', '/run/udev', '/dev/disk'];
  const script = [
    'set -e',
    ...hidden.map((place) => `mkdir -p ${place}; mount -t tmpfs none ${place}`),
    `cp ${rules} /etc/udev/rules.d/`,
    `udevadm test /sys/class/block/${name} 2>&1`,
  ];
  const output = run(['unshare', '-m', 'bash', '-c', script.join('\n')]).toString();
  return /^DEVLINKS=(.*)$/m.exec(output)?.[1]?.split(' ') ?? [];
}

test('a pulled image and its partitions get their links from the rule', () => {
  const disk = path.basename(device);
  expect(links(disk, RULE)).toEqual(['/dev/disk/by-loop-ref/my\\x20root.raw']);
  expect(links(`${disk}p2`, RULE)).toEqual(['/dev/disk/by-loop-ref/my\\x20root.raw-part2']);
});

test("systemd's own link makes the rule stand aside", () => {
  const own = directory.write('50-own.rules', 'SUBSYSTEM=="block", ENV{ID_LOOP_BACKING_FILENAME}="x"\n');
  expect(links(path.basename(device), `${RULE} ${own}`)).toEqual([]);
});

test('an image that rdpull has not attached gets none', () => {
  const other = directory.file('other.raw');
  run(['truncate', '-s', '1M', other]);
  const loop = run(['losetup', '-f', '--show', other]).toString().trim();
  try {
    expect(links(path.basename(loop), RULE)).toEqual([]);
  } finally {
    run(['losetup', '-d', loop]);
  }
});

test('the file that the rule reads goes when rdpull detaches the image', async () => {
  expect(fs.readFileSync(loopRefFile(), 'utf8')).toMatch(/^RDPULL_LOOP_REF=my\\x20root\.raw$/m);
  expect((await rdpull(['detach', device])).status).toBe(0);
  expect(fs.existsSync(loopRefFile())).toBe(false);
});

describe('an image by another name', () => {
  const inside = (name: string) => {
    const file = directory.file(name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.copyFileSync(directory.file('source.img'), file);
    return file;
  };
  const attach = async (file: string) => {
    const { stdout, stderr } = await rdpull(['attach', file]);
    const [attached = ''] = stdout.split('\n');
    return { attached, stderr };
  };
  const detach = async (file: string) => expect((await rdpull(['detach', file])).status).toBe(0);
  const linksOf = (attached: string) => links(path.basename(attached), RULE);
  /** Whether nothing of this directory is left for udev to read. */
  const isClean = () => !fs.existsSync(`/run/rdpull/loop-ref${directory.path}`);

  test.each([
    [
      "a~b/it's (1) [x]{y}*&;|<>^`!.raw",
      'it\\x27s\\x20\\x281\\x29\\x20\\x5bx\\x5d\\x7by\\x7d\\x2a\\x26\\x3b\\x7c\\x3c\\x3e\\x5e\\x60\\x21.raw',
    ],
    ['100% $HOME,?.raw', '100\\x25\\x20\\x24HOME\\x2c\\x3f.raw'],
    ['tab\tnew\nline.raw', 'tab\\x09new\\x0aline.raw'],
    ['back\\slash \\x41.raw', 'back\\x5cslash\\x20\\x5cx41.raw'],
    ['größe 🙂.raw', 'größe\\x20🙂.raw'],
    ['space behind.raw ', 'space\\x20behind.raw\\x20'],
  ])('%j', async (name, link) => {
    const file = inside(name);
    const { attached } = await attach(file);
    try {
      expect(linksOf(attached)).toEqual([`/dev/disk/by-loop-ref/${link}`]);
      expect(linksOf(`${attached}p1`)).toEqual([`/dev/disk/by-loop-ref/${link}-part1`]);
    } finally {
      await detach(attached);
    }
    expect(isClean()).toBe(true);
  });

  test('through a symbolic link it has the name that was given', async () => {
    const file = inside('store/v1.raw');
    fs.symlinkSync('store', directory.file('latest'));
    fs.symlinkSync(file, directory.file('root.raw'));
    for (const [name, link] of [
      ['root.raw', 'root.raw'],
      ['latest/v1.raw', 'v1.raw'],
    ] as const) {
      const { attached } = await attach(directory.file(name));
      try {
        expect(linksOf(attached)).toEqual([`/dev/disk/by-loop-ref/${link}`]);
      } finally {
        await detach(directory.file(name));
      }
      expect(isClean()).toBe(true);
    }
  });

  test('one that is pulled into a directory behind a symbolic link', async () => {
    fs.mkdirSync(directory.file('machines'));
    fs.symlinkSync('machines', directory.file('images'));
    const args = [
      'pull',
      '--verify=no',
      '--blockdev',
      '--local=x',
      `--image-root=${directory.file('images')}`,
    ];
    const { stdout } = await rdpull([...args, `file://${directory.file('source.img')}`]);
    const [, pulled = ''] = stdout.split('\n');
    try {
      expect(linksOf(pulled)).toEqual(['/dev/disk/by-loop-ref/x.raw']);
    } finally {
      await detach(pulled);
    }
    expect(isClean()).toBe(true);
  });

  test('one whose name udev takes for that of another gets no link, and no wrong one', async () => {
    const [one, other] = [inside('x~.raw'), inside('x!.raw')];
    const first = await attach(one);
    const second = await attach(other);
    try {
      expect(first.stderr).toBe('');
      expect(second.stderr).toContain(
        `${other} and ${one}, which is attached, are one name to udev before systemd 254`,
      );
      expect(linksOf(first.attached)).toEqual(['/dev/disk/by-loop-ref/x\\x7e.raw']);
    } finally {
      await detach(second.attached);
      expect(linksOf(first.attached)).toEqual(['/dev/disk/by-loop-ref/x\\x7e.raw']);
      await detach(first.attached);
    }
    expect(isClean()).toBe(true);
    const again = await attach(other);
    expect(again.stderr).toBe('');
    await detach(again.attached);
  });

  test("what is left of one that losetup has detached is in nobody's way", async () => {
    const [one, other] = [inside('y~.raw'), inside('y!.raw')];
    run(['losetup', '-d', (await attach(one)).attached]);
    const { attached, stderr } = await attach(other);
    try {
      expect(stderr).toBe('');
      expect(linksOf(attached)).toEqual(['/dev/disk/by-loop-ref/y\\x21.raw']);
    } finally {
      await detach(attached);
    }
    expect(isClean()).toBe(true);
  });

  test('one that was removed while it was attached leaves nothing for udev', async () => {
    const file = inside('gone.raw');
    const { attached } = await attach(file);
    fs.rmSync(file);
    await detach(attached);
    expect(isClean()).toBe(true);
  });
});
