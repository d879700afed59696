import { afterAll, beforeAll, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const CHECKOUT = path.resolve(import.meta.dir, '../..');

/** A checkout in which nothing was built. */
const fresh = new TemporaryDirectory();
beforeAll(() => {
  const files = ['scripts', 'src', 'test', 'package.json', 'package-lock.json', 'tsconfig.json'];
  run(['cp', '-a', ...files, fresh.path], { cwd: CHECKOUT });
  fs.symlinkSync(path.join(CHECKOUT, 'node_modules'), fresh.file('node_modules'));
});
afterAll(() => fresh[Symbol.dispose]());

test.each([
  ['bench', '--help', 'Usage: scripts/bench [OPTIONS]\n'],
  ['soak', '--help', 'Usage: scripts/soak [--rounds=N]\n'],
  ['boot-test', '--help', 'usage: scripts/boot-test [--jobs=N] [--all | --list | --help | NAME ...]\n'],
  ['boot-test', '--list', 'core  http-boot '],
])('scripts/%s %s answers without a build', (script, option, start) => {
  expect(run([fresh.file(`scripts/${script}`), option]).toString()).toStartWith(start);
  expect(fs.existsSync(fresh.file('dist'))).toBe(false);
});
