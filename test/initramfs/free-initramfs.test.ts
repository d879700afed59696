import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { sharedLibraries } from '../fixtures/chroot.ts';
import { RDPULL, rdpull } from '../fixtures/executable.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const SWITCH_ROOT = path.join(import.meta.dir, '../fixtures/switch-root.py');
const UNIT = '/usr/lib/systemd/system/rdpull-free-initramfs.service';

let work: TemporaryDirectory;
/** The root directory of the initrd. It stays mounted here, as it does for kdevtmpfs on Linux 7, and so can be looked at. */
let initrd: string;
let mounted: string[];
beforeEach(() => {
  work = new TemporaryDirectory();
  initrd = work.file('initrd');
  mounted = [];
  fs.mkdirSync(initrd);
});
afterEach(() => {
  for (const directory of mounted.reverse()) run(['umount', '--lazy', directory]);
  work[Symbol.dispose]();
});

function mount(type: string, directory: string): void {
  fs.mkdirSync(directory, { recursive: true });
  run(['mount', '-t', type, type, directory]);
  mounted.push(directory);
}

function write(name: string, content: string | Uint8Array = `${name}\n`): void {
  const file = path.join(initrd, name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, content);
}

/** Puts an initrd with rdpull in it into the directory. */
function fill(): void {
  for (const name of ['proc', 'run', 'sysroot', 'dev', 'usr/bin']) {
    fs.mkdirSync(path.join(initrd, name), { recursive: true });
  }
  fs.copyFileSync(RDPULL, path.join(initrd, 'usr/bin/rdpull'));
  for (const library of sharedLibraries(RDPULL)) {
    fs.mkdirSync(path.join(initrd, path.dirname(library)), { recursive: true });
    fs.copyFileSync(library, path.join(initrd, library));
  }
  write('etc/initrd-release');
  write(UNIT, '[Service]\nExecStart=/bin/true\n');
  write('usr/lib/modules/7.2/kernel/x.ko', new Uint8Array(3_000_000));
  fs.linkSync(path.join(initrd, 'usr/lib/modules/7.2/kernel/x.ko'), path.join(initrd, 'second-name'));
  write('var/lib/.hidden/ä b');
  fs.symlinkSync('/etc', path.join(initrd, 'link'));
  fs.mkdirSync(path.join(initrd, 'deep', ...Array.from({ length: 40 }, (_, level) => `${level}`)), {
    recursive: true,
  });
  for (let index = 0; index < 500; index++) write(`usr/share/many/${index}`, '');
}

/** Leaves the initrd; returns what rdpull said, what lies in /run/systemd/system, and the exit status. */
function switchRoot(
  how: 'pivot' | 'move' | 'emptied' | 'keep' | 'never',
  args: readonly string[] = [UNIT],
): string[] {
  const namespaces = [
    'timeout',
    '--signal=KILL',
    '50',
    'unshare',
    '--mount',
    '--pid',
    '--fork',
    '--kill-child',
  ];
  return run([...namespaces, 'python3', SWITCH_ROOT, initrd, how, 'free-initramfs', ...args], {
    env: { PATH: process.env['PATH'] },
  })
    .toString()
    .trimEnd()
    .split('\n');
}

/** What is there, but for what is mounted. */
const listed = () =>
  run(['find', '.', '-xdev', '-mindepth', '1'], { cwd: initrd }).toString().trim().split('\n').sort();
const used = () => {
  const { bfree, blocks, bsize } = fs.statfsSync(initrd);
  return (blocks - bfree) * bsize;
};
const CARRIED = "units ['rdpull-free-initramfs.service']";
const TOP = ['deep', 'dev', 'etc', 'proc', 'run', 'sysroot', 'usr', 'var'];
/** Directories that glibc lies in, at the top where /usr is not merged. */
const directoriesAtTop = () => listed().filter((name) => !/^\.\/lib/.test(name));

describe.each(['tmpfs', 'ramfs'])('an initramfs that is a %s', (type) => {
  test.each(['pivot', 'move'] as const)('gives back its memory when PID 1 has left it by %s', (how) => {
    mount(type, initrd);
    fill();
    const before = used();
    const [said, ...rest] = switchRoot(how);
    expect(said).toMatch(/^rdpull: the initrd has given back 1\d\d MiB, in 5\d\d files$/);
    expect(rest).toEqual([CARRIED, '0']);
    expect(directoriesAtTop()).toEqual(TOP.map((name) => `./${name}`));
    if (type === 'tmpfs') {
      expect(before).toBeGreaterThan(100_000_000);
      expect(used()).toBeLessThan(100_000);
    }
  });

  test('is left alone as long as PID 1 has not left it', () => {
    mount(type, initrd);
    fill();
    const before = listed();
    expect(switchRoot('never')).toEqual([
      'rdpull: PID 1 has not left the initrd: all is as it was',
      CARRIED,
      '0',
    ]);
    expect(listed()).toEqual(before);
  });

  test('is left alone where the real root has it mounted, for the way back at shutdown', () => {
    mount(type, initrd);
    fill();
    const before = listed();
    expect(switchRoot('keep')).toEqual([
      'rdpull: the initrd is kept: it is mounted on /initrd',
      CARRIED,
      '0',
    ]);
    expect(listed()).toEqual(before);
  });
});

describe('what is mounted in the initramfs', () => {
  test.each(['pivot', 'move'] as const)('stays mounted, and stays as it is (%s)', (how) => {
    mount('tmpfs', initrd);
    fill();
    mount('tmpfs', path.join(initrd, 'data'));
    write('data/of/another');
    expect(switchRoot(how).at(-1)).toBe('0');
    expect(fs.readFileSync(path.join(initrd, 'data/of/another'), 'utf8')).toBe('data/of/another\n');
  });

  test('is not entered deeper down either, also when it is a directory of the same file system', () => {
    mount('tmpfs', initrd);
    fill();
    write('kept/file');
    fs.mkdirSync(path.join(initrd, 'usr/other'));
    fs.mkdirSync(path.join(initrd, 'usr/same'));
    mount('tmpfs', path.join(initrd, 'usr/other'));
    write('usr/other/file');
    run(['mount', '--bind', path.join(initrd, 'kept'), path.join(initrd, 'usr/same')]);
    mounted.push(path.join(initrd, 'usr/same'));
    const before = run(['find', 'usr/other', 'usr/same'], { cwd: initrd }).toString();
    // By move they are still there for whoever holds the old root; the file has its other name in `kept`.
    expect(switchRoot('move')[0]).toMatch(/^rdpull: the initrd has given back 1\d\d MiB/);
    expect(before).toContain('usr/same/file');
    expect(fs.readFileSync(path.join(initrd, 'usr/other/file'), 'utf8')).toBe('usr/other/file\n');
    expect(fs.existsSync(path.join(initrd, 'usr/same'))).toBe(true);
  });
});

describe('nothing is removed, and that is no failure', () => {
  const NOTHING = ['rdpull: this is no initrd in RAM: there is nothing to give back', 'units []', '0'];

  test('where the root of the initrd is on a disk', () => {
    fill();
    const before = listed();
    expect(switchRoot('pivot')).toEqual(NOTHING);
    expect(listed()).toEqual(before);
  });

  test('where the root is a tmpfs, and no initrd', () => {
    mount('tmpfs', initrd);
    fill();
    fs.rmSync(path.join(initrd, 'etc/initrd-release'));
    const before = listed();
    expect(switchRoot('pivot')).toEqual(NOTHING);
    expect(listed()).toEqual(before);
  });

  test('on this machine', async () => {
    const { status, stdout, stderr } = await rdpull(['free-initramfs', '--json']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: `${NOTHING[0]}\n` });
    expect(JSON.parse(stdout)).toEqual({ files: 0, bytes: 0, left: 0 });
  });
});

test('where systemd has emptied it, as it does up to Linux 6, there is nothing left to do', () => {
  mount('tmpfs', initrd);
  fill();
  expect(switchRoot('emptied')).toEqual([
    'rdpull: the initrd has nothing left to give back: systemd has emptied it',
    CARRIED,
    '0',
  ]);
});

test('a file that cannot be removed is counted, and the rest goes', () => {
  mount('tmpfs', initrd);
  fill();
  write('usr/fixed');
  write('usr/under');
  run(['mount', '--bind', path.join(initrd, 'etc/initrd-release'), path.join(initrd, 'usr/under')]);
  mounted.push(path.join(initrd, 'usr/under'));
  expect(switchRoot('move')[0]).toMatch(
    /^rdpull: the initrd has given back 1\d\d MiB, in 5\d\d files; 1 could not be removed$/,
  );
  expect(fs.existsSync(path.join(initrd, 'usr/fixed'))).toBe(false);
});

test('a unit that cannot be carried over is said, and the memory is given back all the same', () => {
  mount('tmpfs', initrd);
  fill();
  const said = switchRoot('pivot', ['/nowhere/x.service']);
  expect(said[0]).toStartWith('rdpull: warning: /nowhere/x.service is not carried over: ENOENT');
  expect(said[1]).toMatch(/given back 1\d\d MiB/);
});
