import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { type ErrorRecord, RdpullError } from '../../src/console/rdpull-error.ts';
import { detachLoopDevice } from '../../src/expose/loop-detach.ts';
import { attachLoopDevice } from '../../src/expose/loop-device.ts';
import { findLoopDevices } from '../../src/expose/loop-search.ts';
import { attachedTo, createScratch, sysfs } from './scratch.ts';

const MIB = 1024 * 1024;
const scratch = createScratch();
const image = scratch.path('an image.raw');
const mnt = scratch.path('mount point');

beforeAll(() => {
  fs.mkdirSync(mnt);
  scratch.file('bare.raw', 8 * MIB);
  scratch.run('mkfs.ext4', '-q', 'bare.raw');
  scratch.file('an image.raw', 16 * MIB);
  scratch.run(
    'sh',
    '-c',
    `echo 'start=1MiB, size=2MiB\nstart=4MiB, size=8MiB' | sfdisk --quiet --no-tell-kernel --label gpt '${image}'`,
  );
  scratch.run('dd', 'if=bare.raw', `of=${image}`, 'bs=1M', 'seek=4', 'conv=notrunc', 'status=none');
});
afterEach(() => scratch.sweep());
afterAll(() => scratch.remove());

async function attach(): Promise<string> {
  return (await attachLoopDevice({ path: image, readOnly: false })).device;
}

async function failure(fileOrDevice: string): Promise<ErrorRecord> {
  try {
    await detachLoopDevice(fileOrDevice, { patience: 300 });
  } catch (error) {
    if (error instanceof RdpullError) return error.toRecord();
    throw error;
  }
  throw new Error('it was detached');
}

describe('detaches', () => {
  test('a device by its name, with its partitions', async () => {
    const device = await attach();
    const link = scratch.path('link');
    fs.symlinkSync(device, link);
    expect(await detachLoopDevice(link)).toEqual({ device, backingFile: image });
    expect(attachedTo(scratch.directory)).toEqual([]);
    expect(fs.existsSync(`${device}p2`)).toBe(false);
  });

  test('a device by its file, whatever name leads to it', async () => {
    const device = await attach();
    const other = scratch.path('hard link');
    fs.linkSync(image, other);
    expect((await detachLoopDevice(other)).device).toBe(device);
    expect(attachedTo(scratch.directory)).toEqual([]);
  });

  test('the last one first where a file is attached several times', async () => {
    const devices = [await attach(), await attach(), await attach()];
    const byNumber = devices.toSorted((a, b) => Number(a.slice(9)) - Number(b.slice(9)));
    expect(findLoopDevices(image).map(({ device }) => device)).toEqual(byNumber);
    expect((await detachLoopDevice(image)).device).toBe(byNumber[2] ?? '');
    expect(findLoopDevices(image).map(({ device }) => device)).toEqual(byNumber.slice(0, 2));
  });

  test('what losetup has attached', async () => {
    const device = scratch.run('losetup', '--find', '--show', image).trim();
    expect((await detachLoopDevice(image)).device).toBe(device);
  });

  test('a device whose file is gone', async () => {
    const doomed = scratch.path('doomed.raw');
    fs.copyFileSync(image, doomed);
    const { device } = await attachLoopDevice({ path: doomed, readOnly: true });
    fs.rmSync(doomed);
    expect(await detachLoopDevice(device)).toEqual({ device, backingFile: `${doomed} (deleted)` });
  });

  test('a device that another program reads, as soon as that has closed it', async () => {
    const device = await attach();
    const readers = [fs.openSync(device, 'r'), fs.openSync(`${device}p1`, 'r')];
    setTimeout(() => {
      for (const reader of readers) fs.closeSync(reader);
    }, 300);
    expect((await detachLoopDevice(device)).device).toBe(device);
    expect(attachedTo(scratch.directory)).toEqual([]);
    expect(fs.existsSync(`${device}p1`)).toBe(false);
  });

  test('a device that udev has locked, as soon as it is free', async () => {
    const device = await attach();
    const udev = spawn('flock', ['--shared', device, 'sh', '-c', 'echo locked; sleep 0.4'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((resolve) => udev.stdout.once('data', resolve));
    const detached = detachLoopDevice(device);
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(sysfs(`${path.basename(device)}/loop/autoclear`)).toBe('0');
    expect(fs.existsSync(`${device}p1`)).toBe(true);
    expect((await detached).device).toBe(device);
  });

  test.each([
    ['losetup', (device: string) => scratch.run('losetup', device, image)],
    ['mount', () => scratch.run('mount', '-o', 'ro,loop,offset=4M', image, mnt)],
  ])('a device that %s gives the same file again as soon as it is free', async (_, attachAgain) => {
    const device = await attach();
    const reader = fs.openSync(device, 'r');
    const detached = detachLoopDevice(device);
    while (sysfs(`${path.basename(device)}/loop/autoclear`) !== '1') await Bun.sleep(1);
    fs.closeSync(reader);
    attachAgain(device);
    expect(attachedTo(scratch.directory)).toEqual([device]);
    expect((await detached).device).toBe(device);
    expect(attachedTo(scratch.directory)).toEqual([device]);
  });

  test('16 at once, and attaches 16 others meanwhile', async () => {
    const devices = await Promise.all(Array.from({ length: 16 }, attach));
    const [detached, attached] = await Promise.all([
      Promise.all(devices.map((device) => detachLoopDevice(device))),
      Promise.all(Array.from({ length: 16 }, attach)),
    ]);
    expect(new Set(detached.map(({ device }) => device)).size).toBe(16);
    expect(attachedTo(scratch.directory).toSorted()).toEqual(attached.toSorted());
  });
});

describe('leaves alone, and says why,', () => {
  test('a device with a mounted partition', async () => {
    const device = await attach();
    scratch.run('mount', `${device}p2`, mnt);
    expect(await failure(image)).toEqual({
      code: 'target-busy',
      message: `${device} cannot be detached: ${device}p2 is mounted on ${mnt}`,
      hint: `unmount it first: umount '${mnt}'`,
    });
    const name = path.basename(device);
    expect(sysfs(`${name}/loop/autoclear`)).toBe('0');
    expect(fs.existsSync(`${device}p1`)).toBe(true);
    scratch.run('umount', mnt);
    expect((await detachLoopDevice(image)).device).toBe(device);
  });

  test('a device with btrfs on it, whose mounts have device numbers of their own', async () => {
    const btrfs = scratch.file('btrfs.raw', 128 * MIB);
    scratch.run('mkfs.btrfs', '-q', btrfs);
    const { device } = await attachLoopDevice({ path: btrfs, readOnly: false });
    scratch.run('mount', device, mnt);
    expect(await failure(device)).toMatchObject({
      code: 'target-busy',
      message: `${device} cannot be detached: ${device} is mounted on ${mnt}`,
    });
  });

  test('a device mounted in another namespace', async () => {
    const device = await attach();
    const child = spawn(
      'unshare',
      ['--mount', 'sh', '-c', `mount ${device}p2 '${mnt}' && echo mounted && exec sleep 60`],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    await new Promise((resolve) => child.stdout.once('data', resolve));
    const error = await failure(device);
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
    expect(error).toEqual({
      code: 'target-busy',
      message: `${device} cannot be detached: another device, another program or a mount in another namespace has claimed it`,
      hint: `find out which: lsblk ${device}; fuser -v ${device}; grep ${path.basename(device)} /proc/*/mountinfo`,
    });
    expect(fs.existsSync(`${device}p2`)).toBe(true);
  });
});

test('a device that stays open is detached by the kernel later, and that is said', async () => {
  const device = await attach();
  const reader = fs.openSync(`${device}p1`, 'r');
  const error = await failure(device);
  expect(error).toEqual({
    code: 'target-busy',
    message: `${device} is still open in another program; the kernel detaches it when that closes it`,
    hint: `find out which one: fuser -v ${device} ${device}p1`,
  });
  fs.closeSync(reader);
  expect(attachedTo(scratch.directory)).toEqual([]);
  expect(fs.existsSync(`${device}p1`)).toBe(false);
});

describe('refuses', () => {
  test('a file that is not attached', async () => {
    expect(await failure(image)).toEqual({
      code: 'loop-not-attached',
      message: `${image} is not attached to a loop device`,
      hint: 'see what is attached with: losetup -l',
    });
  });

  test('a loop device with nothing attached', async () => {
    const device = scratch.run('losetup', '--find').trim();
    expect(await failure(device)).toMatchObject({
      code: 'loop-not-attached',
      message: `nothing is attached to ${device}`,
    });
  });

  test('a partition', async () => {
    const device = await attach();
    expect(await failure(`${device}p2`)).toEqual({
      code: 'bad-argument',
      message: `${device}p2 is a partition and cannot be detached by itself`,
      hint: `name the whole device: ${device}`,
    });
    expect(findLoopDevices(image)).toHaveLength(1);
  });

  test('another block device', async () => {
    const [disk = ''] = fs.readdirSync('/sys/block').filter((name) => !name.startsWith('loop'));
    expect(await failure(`/dev/${disk}`)).toMatchObject({
      code: 'loop-not-attached',
      message: `/dev/${disk} is not a loop device`,
    });
  });

  test('a file that is not there', async () => {
    expect(await failure('/nonexistent')).toMatchObject({
      code: 'file-not-found',
      message: '/nonexistent does not exist',
    });
  });
});
