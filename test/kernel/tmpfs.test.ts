import { expect, test } from 'bun:test';
import path from 'node:path';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const MODULE = path.resolve(import.meta.dir, '../../src/kernel/tmpfs.ts');

/** Runs JavaScript in a mount namespace, with a tmpfs of 4 MiB and 100 inodes on `directory`, and prints what it says. */
function withTmpfs(script: string): string {
  using directory = new TemporaryDirectory();
  const program = `
    import fs from 'node:fs';
    import { limitTmpfs } from ${JSON.stringify(MODULE)};
    const directory = ${JSON.stringify(directory.path)};
    const options = () => fs.readFileSync('/proc/self/mountinfo', 'utf8').split('\\n').find((line) => line.includes(directory));
    ${script}`;
  const mount = 'mount -t tmpfs -o size=4m,nr_inodes=100,mode=750,nosuid,noexec tmpfs "$1"; shift; exec "$@"';
  return run([
    ...['unshare', '--mount', '--propagation', 'private', 'sh', '-euc', mount, 'sh', directory.path],
    ...[process.execPath, '-e', program],
  ]).toString();
}

test('a tmpfs is given other limits, and keeps everything else', () => {
  const [before = '', after = ''] = withTmpfs(`
    console.log(options());
    limitTmpfs(directory, { size: 8 << 20, inodes: 200 });
    console.log(options());
  `).split('\n');
  expect(before).toContain('size=4096k,nr_inodes=100');
  expect(after).toBe(before.replace('size=4096k,nr_inodes=100', 'size=8192k,nr_inodes=200'));
  expect(after).toMatch(/nosuid,noexec.*mode=750/);
});

test('without a number of inodes that stays as it is', () => {
  const said = withTmpfs('limitTmpfs(directory, { size: 1 << 20 }); console.log(options());');
  expect(said).toContain('size=1024k,nr_inodes=100');
});

test('it cannot be made smaller than what it holds', () => {
  const said = withTmpfs(`
    fs.writeFileSync(directory + '/file', Buffer.alloc(3 << 20));
    try { limitTmpfs(directory, { size: 1 << 20 }); } catch (error) { console.log(error.code); }
    console.log(options());
  `);
  expect(said).toStartWith('EINVAL\n');
  expect(said).toContain('size=4096k');
});

test('what is no mount point is refused', () => {
  const said = withTmpfs(`
    fs.mkdirSync(directory + '/below');
    try { limitTmpfs(directory + '/below', { size: 1 << 20 }); } catch (error) { console.log(error.code); }
  `);
  expect(said).toBe('EINVAL\n');
});
