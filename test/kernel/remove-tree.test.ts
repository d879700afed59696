import { afterAll, beforeAll, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { removeTree } from '../../src/kernel/remove-tree.ts';
import { isSystemError } from '../../src/kernel/system-error.ts';
import { run } from '../fixtures/run.ts';
import { listTree, makeTreeDirectory } from '../fixtures/tar.ts';

let base: string;
let outside: string;
let outsideBefore: string;

beforeAll(() => {
  base = makeTreeDirectory();
  outside = path.join(base, 'outside');
  fs.mkdirSync(outside);
  fs.writeFileSync(path.join(outside, 'kept'), 'kept');
  outsideBefore = listTree(outside);
});
afterAll(() => fs.rmSync(base, { recursive: true }));

/** What is open below `base`, removed or not. */
function openDescriptors(): string[] {
  const fds = fs.readdirSync('/proc/self/fd').map((fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return ''; // that of readdir itself
    }
  });
  return fds.filter((file) => file.startsWith(base));
}

/** Makes a tree by a script, removes it, and looks at what is left. */
function removed(script: string): void {
  const tree = path.join(base, 'tree');
  fs.mkdirSync(tree);
  run(['bash', '-euc', script], { cwd: tree });
  removeTree(tree);
  expect(fs.readdirSync(base)).toEqual(['outside']);
  expect(listTree(outside)).toBe(outsideBefore);
  expect(openDescriptors()).toEqual([]);
}

test('removes files, directories, links, fifos and devices', () => {
  removed('mkdir -p a/b/c d; touch a/f a/b/f; ln a/f g; ln -s a l; mkfifo d/p; mknod d/n c 1 3');
});

test('removes links to the outside, not what they point to', () => {
  removed(
    `mkdir -p a/b; ln -s ${outside} l; ln -s ${outside} a/l; ln -s ${outside} a/b/l; ln ${outside}/kept a/h`,
  );
});

test('removes names of any bytes, those it moves directories to itself, and a thousand in one directory', () => {
  removed('mkdir -p 0/0/0 1/1/1/1 2/0 3; touch 4 5 "$(printf "x\\nx")" $(printf "\\xff") ... ..a .a');
  removed('mkdir -p a/b; cd a/b; seq 3000 | xargs touch; mkdir $(seq -f d%g 500); touch d1/f d2/f');
});

test('removes paths longer than the kernel takes', () => {
  removed('for i in {1..40}; do mkdir $(printf "d%.0s" {1..200}); cd -P d*; touch f; done');
});

test('takes a deep tree no longer than a flat one', () => {
  const script = 'import os\nfor i in range(2000): os.mkdir("d"); os.chdir("d")';
  removed(`prlimit --nofile=64:64 python3 -c '${script}'`);
});

test('removes a file, a link and nothing', () => {
  const name = path.join(base, 'name');
  removeTree(name);
  fs.writeFileSync(name, '');
  removeTree(name);
  fs.symlinkSync(outside, name);
  removeTree(name);
  expect(fs.readdirSync(base)).toEqual(['outside']);
  expect(listTree(outside)).toBe(outsideBefore);
});

test('says why it cannot', () => {
  const tree = path.join(base, 'tree');
  fs.mkdirSync(path.join(tree, 'a'), { recursive: true });
  run(['mount', '-t', 'tmpfs', 'rdpull-test', path.join(tree, 'a')]);
  try {
    removeTree(tree);
    throw new Error('it was removed');
  } catch (error) {
    if (!isSystemError(error, 'EBUSY')) throw error;
  } finally {
    run(['umount', path.join(tree, 'a')]);
    removeTree(tree);
  }
});

test('shares the work with another one', async () => {
  const tree = path.join(base, 'tree');
  fs.mkdirSync(tree);
  run(['bash', '-euc', 'mkdir -p {0..40}/{0..20}; touch {0..40}/{0..20}/{a..f}'], { cwd: tree });
  const other = Bun.spawn([
    process.execPath,
    '-e',
    `import { removeTree } from ${JSON.stringify(path.resolve('src/kernel/remove-tree.ts'))}; removeTree(process.argv[1])`,
    tree,
  ]);
  await Bun.sleep(30);
  removeTree(tree);
  expect(await other.exited).toBe(0);
  expect(fs.existsSync(tree)).toBe(false);
});
