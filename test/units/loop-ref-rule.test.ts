import { afterAll, beforeAll, expect, test } from 'bun:test';
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
  expect(fs.readFileSync(loopRefFile(), 'utf8')).toBe('RDPULL_LOOP_REF=my\\x20root.raw\n');
  expect((await rdpull(['detach', device])).status).toBe(0);
  expect(fs.existsSync(loopRefFile())).toBe(false);
});
