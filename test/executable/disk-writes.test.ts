import { afterAll, beforeAll, beforeEach, expect, test } from 'bun:test';
import fs from 'node:fs';
import { rdpull } from '../fixtures/executable.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const MIB = 1024 * 1024;

/** What reaches the disk when, as strace(1) sees it. On a disk: a tmpfs writes nothing. */
const work = new TemporaryDirectory();
const target = work.file('machines');
const trace = work.file('trace');

beforeAll(() => {
  fs.mkdirSync(work.file('tree'));
  work.write('noise.raw', noiseOf(64 * MIB));
  work.write('tree/large', noiseOf(2 * MIB));
  work.write('tree/small', 'small');
  run(['tar', '-C', work.file('tree'), '-cf', work.file('tree.tar'), '.']);
});
beforeEach(() => fs.rmSync(target, { recursive: true, force: true }));
afterAll(() => work[Symbol.dispose]());

async function pullUnder(options: readonly string[], name: string) {
  const finished = await rdpull(
    ['pull', '--verify=no', `--image-root=${target}`, `file://${work.file(name)}`],
    { wrapper: ['strace', '-f', '-qq', '-y', '-o', trace, ...options] },
  );
  return { ...finished, calls: fs.readFileSync(trace, 'utf8').split('\n') };
}

const FLUSH = /fdatasync\(\d+<[^>]*\/object>/;

test('an image goes to the disk while it arrives, so that there is little to wait for at its end', async () => {
  const { status, calls } = await pullUnder(['-e', 'trace=fdatasync,fsync,pwrite64'], 'noise.raw');
  expect(status).toBe(0);
  const written = (call: string) => /pwrite64\(\d+<[^>]*\/object>/.test(call);
  const flush = calls.findIndex((call) => FLUSH.test(call));
  expect(flush).toBeGreaterThan(0);
  expect(calls.slice(0, flush).filter(written).length).toBeGreaterThan(0);
  expect(calls.slice(flush).filter(written).length).toBeGreaterThan(0);
});

// The kernel tells of a failure once: the fsync(2) at the end would not know of it any more.
test('a disk that fails in the middle, and says so only then, fails the pull', async () => {
  const { status, stderr, calls } = await pullUnder(
    ['-e', 'trace=fdatasync', '-e', 'inject=fdatasync:error=EIO:when=1'],
    'noise.raw',
  );
  expect(calls.filter((call) => FLUSH.test(call) || call.includes('INJECTED'))).not.toEqual([]);
  expect(status).toBe(14);
  expect(stderr).toMatch(/noise\.raw.* failed.*: the disk reports an error \(EIO\)$/m);
  // Nor the directory that it had made for the image.
  expect(fs.existsSync(target)).toBe(false);
});

test('of a tarball, large files are sent to the disk at once, and small ones together', async () => {
  const { status, calls } = await pullUnder(['-e', 'trace=sync_file_range,syncfs'], 'tree.tar');
  expect(status).toBe(0);
  const begun = calls.filter((call) => call.includes('sync_file_range('));
  expect(begun.map((call) => /\/([^/>]*)>/.exec(call)?.[1])).toEqual(['large']);
  expect(calls.filter((call) => call.includes('syncfs('))).toHaveLength(1);
});

test('what a file of root has already when it is made is not set again: a change of each is one for the journal', async () => {
  const options = ['-e', 'trace=fchown,fchmod,fchownat,lchown,chown'];
  const { status, calls } = await pullUnder(options, 'tree.tar');
  expect(status).toBe(0);
  expect(fs.readdirSync(`${target}/tree`).sort()).toEqual(['large', 'small']);
  expect(calls.filter((call) => /chown/.test(call))).toEqual([]);
  expect(calls.filter((call) => /fchmod\(\d+<[^>]*\/(?:large|small)>/.test(call))).toEqual([]);
});
