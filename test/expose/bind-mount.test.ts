import { afterAll, afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { bindMount } from '../../src/expose/bind-mount.ts';
import { AS_NOBODY } from '../fixtures/as-nobody.ts';
import { createScratch } from './scratch.ts';

const scratch = createScratch();
/** As /run is mounted, with noexec on top. */
const run = scratch.path('run');
const source = `${run}/machines/root`;
const sysroot = scratch.path('sysroot');
fs.mkdirSync(run);
fs.mkdirSync(sysroot);

beforeEach(() => {
  scratch.run('mount', '-t', 'tmpfs', '-o', 'nosuid,nodev,noexec,relatime', 'run', run);
  fs.mkdirSync(source, { recursive: true });
  fs.writeFileSync(`${source}/file`, 'hello');
  scratch.run('mknod', `${source}/null`, 'c', '1', '3');
  fs.copyFileSync('/usr/bin/id', `${source}/id`);
  fs.chmodSync(`${source}/id`, 0o4755);
});
afterEach(() => scratch.sweep());
afterAll(() => scratch.remove());

function mountOptions(target: string): string[] {
  return scratch.run('findmnt', '--noheadings', '--output', 'VFS-OPTIONS', target).trim().split(',');
}

function mountedHere(): string[] {
  const mounts = fs.readFileSync('/proc/self/mountinfo', 'utf8');
  return mounts
    .split('\n')
    .flatMap((line) => line.split(' ')[4] ?? [])
    .filter((point) => point === sysroot);
}

describe('binds a tree from /run so that', () => {
  test('device nodes, programs and setuid bits work', () => {
    bindMount(source, sysroot, { readOnly: false });
    fs.chmodSync(scratch.directory, 0o755);
    expect(fs.readFileSync(`${sysroot}/null`, 'utf8')).toBe('');
    const asNobody = ['--reuid=65534', '--regid=65534', '--clear-groups', `${sysroot}/id`, '-u'];
    expect(scratch.run('setpriv', ...asNobody).trim()).toBe('0');
    expect(() => fs.readFileSync(`${source}/null`)).toThrow('EACCES');
  });

  test('it is writable and keeps access times as they were', () => {
    bindMount(source, sysroot, { readOnly: false });
    expect(mountOptions(sysroot).toSorted()).toEqual(['relatime', 'rw']);
    fs.writeFileSync(`${sysroot}/new`, '');
    expect(fs.existsSync(`${source}/new`)).toBe(true);
  });

  test('it is not writable when that was asked for, while its source still is', () => {
    bindMount(source, sysroot, { readOnly: true });
    expect(mountOptions(sysroot).toSorted()).toEqual(['relatime', 'ro']);
    expect(() => fs.writeFileSync(`${sysroot}/new`, '')).toThrow('EROFS');
    fs.writeFileSync(`${source}/new`, '');
  });

  test('/run itself stays as it is', () => {
    bindMount(source, sysroot, { readOnly: true });
    expect(mountOptions(run).toSorted()).toEqual(['nodev', 'noexec', 'nosuid', 'relatime', 'rw']);
  });
});

describe('mounts nothing, and says why,', () => {
  afterEach(() => expect(mountedHere()).toEqual([]));

  test('when the tree is not there', () => {
    expect(() => bindMount(`${run}/missing`, sysroot, { readOnly: false })).toThrow(
      expect.objectContaining({ code: 'file-not-found', message: `${run}/missing does not exist` }),
    );
  });

  test('when the mount point is not there', () => {
    const target = scratch.path('missing');
    expect(() => bindMount(source, target, { readOnly: false })).toThrow(
      expect.objectContaining({
        code: 'mount-failed',
        message: `${source} cannot be mounted on ${target}: that directory does not exist`,
        hint: `create it first: mkdir -p ${target}`,
      }),
    );
  });

  test('when an image was named instead of a tree', () => {
    expect(() => bindMount(`${source}/file`, sysroot, { readOnly: false })).toThrow(
      expect.objectContaining({ code: 'mount-failed', message: `${source}/file is not a directory` }),
    );
  });

  test('without root', () => {
    fs.chmodSync(scratch.directory, 0o755);
    expect(callAs([], AS_NOBODY)).toBe('not-root: mounting needs root (CAP_SYS_ADMIN)\n');
  });

  test('when the second step fails: the first is undone', () => {
    const strace = ['strace', '-f', '-qq', '-o', scratch.path('strace')];
    expect(callAs([...strace, '-e', 'inject=mount:error=EINVAL:when=2'])).toBe(
      `mount-failed: ${source} cannot be mounted on ${sysroot}: mount: EINVAL\n`,
    );
    expect(fs.readFileSync(scratch.path('strace'), 'utf8')).toContain('MS_REMOUNT|MS_BIND');
  });

  /** What bindMount throws in a process started through `wrapper`. */
  function callAs(wrapper: string[], before = ''): string {
    const module = path.resolve(import.meta.dir, '../../src/expose/bind-mount.ts');
    const script = `
      const { bindMount } = await import(${JSON.stringify(module)});
      ${before}
      try { bindMount(process.argv.at(-2), process.argv.at(-1), { readOnly: false }); }
      catch (error) { console.log(error.code + ': ' + error.message); }`;
    const [program = '', ...args] = [...wrapper, process.execPath, '-e', script, source, sysroot];
    return spawnSync(program, args, { encoding: 'utf8' }).stdout;
  }
});
