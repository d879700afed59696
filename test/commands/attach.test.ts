import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { loopGetStatus } from '../../src/kernel/loop.ts';
import { rdpull } from '../fixtures/executable.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const directory = new TemporaryDirectory();
const image = directory.file('disk.raw');
const mountPoint = directory.file('mnt');

/** An image with a GPT: a small partition, and one with ext4. */
beforeAll(() => {
  run(['truncate', '-s', '24M', image]);
  run(['sgdisk', '-n', '1:0:+2M', '-t', '1:ef00', '-c', '1:esp', '-n', '2:0:0', '-c', '2:root', image]);
  const start = Number(
    run(['sh', '-c', `sgdisk -i 2 ${image} | awk '/First sector/ { print $3 }'`]).toString(),
  );
  run(['mkfs.ext4', '-q', '-E', `offset=${start * 512}`, image, '20m']);
  run(['mkdir', mountPoint]);
});
afterAll(() => directory[Symbol.dispose]());

const attached = () => run(['losetup', '-nO', 'NAME', '-j', image]).toString().trim();

describe('attach and detach', () => {
  test('print the device and its partitions; detaching by file lets go of it', async () => {
    const { stdout, status } = await rdpull(['attach', image]);
    try {
      const [device = '', ...partitions] = stdout.trimEnd().split('\n');
      expect(status).toBe(0);
      expect(device).toBe(attached());
      expect(partitions).toEqual([
        expect.stringMatching(new RegExp(`^${device}p1  2\\.0 MiB  .*"esp"$`)),
        expect.stringMatching(new RegExp(`^${device}p2  21\\.0 MiB  .*"root"$`)),
      ]);
      run(['mount', `${device}p2`, mountPoint]);
      const busy = await rdpull(['detach', image]);
      expect(busy.status).toBe(14);
      expect(busy.stderr).toContain(mountPoint);
      run(['umount', mountPoint]);
    } finally {
      const { status, stderr } = await rdpull(['detach', image]);
      expect(status).toBe(0);
      expect(stderr).toMatch(/^rdpull: \/dev\/loop\d+ \(.*disk\.raw\) is detached\n$/);
    }
    expect(attached()).toBe('');
  });

  test('--loop-ref and --read-only reach the kernel; detaching by device works, too', async () => {
    const { stdout } = await rdpull(['attach', '--json', '--read-only', '--loop-ref=root.raw', image]);
    const { device, readOnly, partitions } = JSON.parse(stdout);
    expect(readOnly).toBe(true);
    expect(partitions.length).toBe(2);
    const fd = fs.openSync(device, 'r');
    expect(Buffer.from(loopGetStatus(fd).fileName).toString()).toBe('root.raw');
    fs.closeSync(fd);
    expect(run(['losetup', '-nO', 'RO', device]).toString().trim()).toBe('1');
    // For the udev rule, where udev itself does not ask the kernel.
    const forUdev = path.join('/run/rdpull/loop-ref', image);
    expect(fs.readFileSync(forUdev, 'utf8')).toBe(`# "${image}"\nRDPULL_LOOP_REF=root.raw\n`);
    expect((await rdpull(['detach', device])).status).toBe(0);
    expect(attached()).toBe('');
    expect(fs.existsSync(forUdev)).toBe(false);
  });

  test('a file that is not attached, and one that is no image', async () => {
    const loose = await rdpull(['detach', image]);
    expect(loose.status).toBe(15);
    const text = directory.write('text', 'not an image '.repeat(1000));
    const unknown = await rdpull(['attach', text]);
    expect(unknown.status).toBe(15);
    expect(unknown.stderr).toContain(text);
    expect(run(['losetup', '-nO', 'NAME', '-j', text]).toString()).toBe('');
  });
});
