import { afterAll, afterEach, expect, test } from 'bun:test';
import fs from 'node:fs';
import { MNT_DETACH, MS_BIND, MS_NODEV, MS_NOSUID, mount, unmount } from '../../src/kernel/mount.ts';
import { createScratch } from '../expose/scratch.ts';

const scratch = createScratch();
const [source, target] = [scratch.path('a source'), scratch.path('target')];
fs.mkdirSync(source);
fs.mkdirSync(target);
fs.writeFileSync(`${source}/file`, '');

afterEach(() => scratch.sweep());
afterAll(() => scratch.remove());

test('binds a directory, spaces in its name and all, and lets go of it', () => {
  mount({ source, target, flags: MS_BIND });
  expect(fs.readdirSync(target)).toEqual(['file']);
  unmount(target);
  expect(fs.readdirSync(target)).toEqual([]);
});

test('mounts a file system by type, with flags and options', () => {
  mount({
    source: 'rdpull',
    target,
    type: 'tmpfs',
    flags: MS_NOSUID | MS_NODEV,
    options: 'size=64k,mode=0700',
  });
  const [options] = scratch.run('findmnt', '-n', '-o', 'FSTYPE,OPTIONS', target).trim().split('\n');
  expect(options).toStartWith('tmpfs');
  expect(options).toContain('nosuid');
  expect(options).toContain('nodev');
  expect(options).toContain('size=64k');
  expect(fs.statSync(target).mode & 0o7777).toBe(0o700);
});

test('a mount in use is busy, and can be detached', () => {
  mount({ source: 'rdpull', target, type: 'tmpfs', flags: 0 });
  const user = fs.openSync(`${target}/open`, 'w');
  expect(() => unmount(target)).toThrow('umount2: EBUSY');
  unmount(target, MNT_DETACH);
  fs.closeSync(user);
  expect(fs.readdirSync(target)).toEqual([]);
});

test('failures carry the kernel’s reason', () => {
  expect(() => mount({ source: scratch.path('missing'), target, flags: MS_BIND })).toThrow('mount: ENOENT');
  expect(() => unmount(target)).toThrow('umount2: EINVAL');
});
