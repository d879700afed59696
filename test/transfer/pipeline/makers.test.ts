import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { RDPULL } from '../../fixtures/executable.ts';
import { noiseOf } from '../../fixtures/noise.ts';
import { run } from '../../fixtures/run.ts';
import { TemporaryDirectory } from '../../fixtures/temporary-directory.ts';

const work = new TemporaryDirectory();
const KIB = 1024;

beforeAll(() => {
  const sh = (command: string) => run(['sh', '-c', command], { cwd: work.path });
  work.write('tiny.raw', noiseOf(KIB));
  work.write('small.raw', noiseOf(256 * KIB));
  work.write('larger.raw', noiseOf(256 * KIB + 1));
  sh('xz -k tiny.raw && tar -cf tiny.tar tiny.raw');
  sh('qemu-img create -q -f qcow2 -o cluster_size=4096 tiny.qcow2 64K');
});
afterAll(() => work[Symbol.dispose]());

/** Whether a pull had a thread of JavaScript beside the main one. */
function hasWorker(type: 'raw' | 'tar', file: string): boolean {
  using target = new TemporaryDirectory();
  const traced = work.file('traced');
  const options = ['--quiet', '--verify=no', `--type=${type}`, '--local=x', `--image-root=${target.path}`];
  const pull = [RDPULL, 'pull', ...options, `file://${work.file(file)}`];
  run(['strace', '--follow-forks', '--trace=prctl', `--output=${traced}`, ...pull]);
  expect(target.names()).toEqual([type === 'raw' ? 'x.raw' : 'x']);
  if (file.endsWith('.raw')) {
    expect(fs.readFileSync(target.file('x.raw'))).toEqual(fs.readFileSync(work.file(file)));
  }
  const trace = fs.readFileSync(traced, 'utf8');
  expect(trace).toContain('PR_SET_NAME, "JITWorker"');
  return trace.includes('PR_SET_NAME, "Worker"');
}

describe('an image', () => {
  test.each([
    ['tiny.raw', 'raw'],
    ['small.raw', 'raw'],
  ] as const)('that is there before a thread would be has none: %s', (file, type) => {
    expect(hasWorker(type, file)).toBe(false);
  });

  test.each([
    ['larger.raw', 'raw'],
    ['tiny.raw.xz', 'raw'],
    ['tiny.qcow2', 'raw'],
    ['tiny.tar', 'tar'],
  ] as const)('that is larger, or may become so, has one: %s', (file, type) => {
    expect(hasWorker(type, file)).toBe(true);
  });
});
