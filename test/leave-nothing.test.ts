import { expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { TemporaryDirectory } from './fixtures/temporary-directory.ts';

/** Tests of which one fails, and one cannot even begin. */
const FAILING = `
import { beforeAll, expect, test } from 'bun:test';
import { GpgHome } from '${import.meta.dir}/fixtures/gpg.ts';
import { TemporaryDirectory } from '${import.meta.dir}/fixtures/temporary-directory.ts';
new TemporaryDirectory().write('file', 'content');
new GpgHome().generateKey('Builder');
beforeAll(() => { throw new Error('no preparation'); });
test('fails', () => expect(1).toBe(2));
`;

test('tests that fail leave no directory and no gpg-agent behind', () => {
  using work = new TemporaryDirectory();
  work.write('failing.test.ts', FAILING);
  fs.mkdirSync(work.file('tmp'));
  const { status, stderr } = spawnSync(
    process.execPath,
    ['test', `--preload=${path.join(import.meta.dir, 'leave-nothing.ts')}`],
    { cwd: work.path, env: { ...process.env, TMPDIR: work.file('tmp') }, encoding: 'utf8' },
  );
  expect(status).toBe(1);
  expect(stderr.match(/was not disposed of, but is now: made at .*failing\.test\.ts:\d+/g)).toHaveLength(2);
  expect(work.names('tmp')).toEqual([]);
  const running = spawnSync('pgrep', ['-f', work.path], { encoding: 'utf8' }).stdout;
  expect(running).toBe('');
});
