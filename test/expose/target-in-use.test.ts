import { afterAll, afterEach, beforeEach, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { attachLoopDevice } from '../../src/expose/loop-device.ts';
import { requireUnused, useOfTarget } from '../../src/expose/target-in-use.ts';
import { createScratch } from './scratch.ts';

const MIB = 1024 * 1024;
const scratch = createScratch();
const tree = scratch.path('tree');
const mnt = scratch.path('mnt ä');
const image = scratch.path('image.raw');

beforeEach(() => {
  fs.mkdirSync(`${tree}/etc`, { recursive: true });
  fs.mkdirSync(mnt, { recursive: true });
});
afterEach(() => {
  scratch.sweep();
  fs.rmSync(tree, { recursive: true });
});
afterAll(() => scratch.remove());

/** A program that has said its first word, and goes on until the scope ends. */
async function begun(...command: string[]) {
  const child = Bun.spawn(command, { stdout: 'pipe' });
  await child.stdout.getReader().read();
  return { pid: child.pid, [Symbol.dispose]: () => child.kill('SIGKILL') };
}

describe('a tree', () => {
  test('that nobody uses is free, and so is a name without one', async () => {
    fs.writeFileSync(`${tree}/etc/os-release`, '');
    using _reader = await begun('sh', '-c', `cd ${tree}; echo; exec sleep 60`);
    expect(useOfTarget(tree)).toBeUndefined();
    expect(useOfTarget(scratch.path('nothing'))).toBeUndefined();
    fs.rmSync(scratch.path('dangling'), { force: true });
    fs.symlinkSync('nothing', scratch.path('dangling'));
    expect(useOfTarget(scratch.path('dangling'))).toBeUndefined();
  });

  test('is in use where it is mounted, all of it or a directory in it', () => {
    for (const source of [tree, `${tree}/etc`]) {
      scratch.run('mount', '--bind', source, mnt);
      expect(useOfTarget(tree)).toEqual({
        what: `it is mounted on ${mnt}`,
        remedy: `unmount it first: umount '${mnt}'`,
      });
      scratch.run('umount', mnt);
    }
    // What holds it is not it.
    scratch.run('mount', '--bind', scratch.directory, mnt);
    expect(useOfTarget(tree)).toBeUndefined();
  });

  test('is in use where something is mounted in it', () => {
    scratch.run('mount', '-t', 'tmpfs', 'tmpfs', `${tree}/etc`);
    expect(useOfTarget(tree)).toEqual({
      what: `${tree}/etc is mounted`,
      remedy: `unmount it first: umount ${tree}/etc`,
    });
  });

  test('is in use where it is mounted in another mount namespace', async () => {
    using other = await begun(
      'unshare',
      '-m',
      'sh',
      '-c',
      `mount --bind ${tree} '${mnt}'; echo; exec sleep 60`,
    );
    expect(useOfTarget(tree)?.what).toBe(
      `it is mounted on ${mnt} in the mount namespace of process ${other.pid}`,
    );
  });

  test('is in use as a layer of an overlay', () => {
    const options = `lowerdir=${tree}/etc:/usr/share/doc`;
    scratch.run('mount', '-t', 'overlay', 'overlay', '-o', options, mnt);
    expect(useOfTarget(tree)?.what).toBe(`it is mounted on ${mnt}`);
  });

  test('is in use by a program whose root directory it is', async () => {
    const enter = `import os, time; os.chroot('${tree}'); print(flush=True); time.sleep(60)`;
    using inside = await begun('python3', '-c', enter);
    expect(useOfTarget(tree)).toEqual({
      what: `process ${inside.pid} has it as its root directory`,
      remedy: `end it first: kill ${inside.pid}`,
    });
  });

  test('on btrfs, whose device numbers are its own, is in use where it is mounted', () => {
    scratch.run('mkfs.btrfs', '-q', scratch.file('btrfs.raw', 128 * MIB));
    fs.mkdirSync(scratch.path('btrfs'), { recursive: true });
    scratch.run('mount', '-o', 'loop', 'btrfs.raw', scratch.path('btrfs'));
    scratch.run('btrfs', 'subvolume', 'create', scratch.path('btrfs/volume'));
    const onBtrfs = scratch.path('btrfs/volume/tree');
    fs.mkdirSync(onBtrfs);
    expect(useOfTarget(onBtrfs)).toBeUndefined();
    scratch.run('mount', '--bind', onBtrfs, mnt);
    expect(useOfTarget(onBtrfs)?.what).toBe(`it is mounted on ${mnt}`);
  });
});

describe('an image', () => {
  beforeEach(() => scratch.run('mkfs.ext4', '-q', scratch.file('image.raw', 8 * MIB)));

  test('that is not attached is free', () => expect(useOfTarget(image)).toBeUndefined());

  test('is in use while it is attached, by any of its names', async () => {
    const { device } = await attachLoopDevice({ path: image, readOnly: true });
    fs.rmSync(scratch.path('link'), { force: true });
    fs.symlinkSync(image, scratch.path('link'));
    for (const name of [image, scratch.path('link')]) {
      expect(useOfTarget(name)).toEqual({
        what: `it is attached to ${device}`,
        remedy: `detach it first: rdpull detach ${device}`,
      });
    }
  });

  test('and where its device is mounted, that comes first', async () => {
    const { device } = await attachLoopDevice({ path: image, readOnly: true });
    scratch.run('mount', device, mnt);
    expect(() => requireUnused(image)).toThrow(
      expect.objectContaining({
        code: 'target-busy',
        message: `${image} cannot be replaced: it is attached to ${device}, and ${device} is mounted on ${mnt}`,
        hint: `unmount it first: umount '${mnt}' && rdpull detach ${device}`,
      }),
    );
  });

  test('is in use where another file is mounted over it', () => {
    scratch.run('mount', '--bind', scratch.file('other', 1), image);
    expect(useOfTarget(image)?.what).toBe(`${image} is mounted`);
  });
});
