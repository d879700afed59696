import { afterAll, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { lockFile, tryLockFile, tryShareFile } from '../../src/kernel/file-lock.ts';
import { createScratch } from '../expose/scratch.ts';

const scratch = createScratch();
const file = scratch.file('locked', 0);
afterAll(() => scratch.remove());

/** As flock(1), another program, sees it. */
function isFree(): boolean {
  return spawnSync('flock', ['--nonblock', file, 'true']).status === 0;
}

test('the lock shuts out others until its descriptor is closed', () => {
  const [first, second] = [fs.openSync(file, 'r'), fs.openSync(file, 'r')];
  expect(isFree()).toBe(true);
  expect(tryLockFile(first)).toBe(true);
  expect(tryLockFile(first)).toBe(true);
  expect(tryLockFile(second)).toBe(false);
  expect(isFree()).toBe(false);
  fs.closeSync(first);
  expect(tryLockFile(second)).toBe(true);
  fs.closeSync(second);
  expect(isFree()).toBe(true);
});

test('waiting for the lock ends when it becomes free, even when this process itself holds it', async () => {
  const [first, second] = [fs.openSync(file, 'r'), fs.openSync(file, 'r')];
  expect(tryLockFile(first)).toBe(true);
  setTimeout(() => fs.closeSync(first), 50);
  expect(await lockFile(second, 5000)).toBe(true);
  expect(isFree()).toBe(false);
  fs.closeSync(second);
});

test('waiting for the lock gives up in time', async () => {
  const [first, second] = [fs.openSync(file, 'r'), fs.openSync(file, 'r')];
  expect(tryLockFile(first)).toBe(true);
  const start = performance.now();
  expect(await lockFile(second, 100)).toBe(false);
  expect(performance.now() - start).toBeGreaterThanOrEqual(100);
  expect(performance.now() - start).toBeLessThan(2000);
  fs.closeSync(first);
  fs.closeSync(second);
});

test('a shared lock leaves room for others of its kind, and none for an exclusive one', () => {
  const [first, second] = [fs.openSync(file, 'r'), fs.openSync(file, 'r')];
  expect(tryShareFile(first)).toBe(true);
  expect(tryShareFile(second)).toBe(true);
  expect(isFree()).toBe(false);
  expect(tryLockFile(first)).toBe(false);
  expect(tryLockFile(second)).toBe(true);
  expect(tryShareFile(first)).toBe(false);
  for (const fd of [first, second]) fs.closeSync(fd);
});

test('what is no lock conflict is reported', () => {
  expect(() => tryLockFile(-1)).toThrow('flock: EBADF');
});
