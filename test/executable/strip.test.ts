import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { RDPULL, rdpull } from '../fixtures/executable.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const work = new TemporaryDirectory();
const copy = work.file('rdpull');
const content = Buffer.from('an image\n'.repeat(100_000));
let version: string;

beforeAll(async () => {
  work.write('image.raw.xz', run(['xz'], { input: content }));
  version = (await rdpull(['--version'])).stdout;
});
afterAll(() => work[Symbol.dispose]());

/** As they are called by whoever packs an executable into an initrd or a package. */
const STRIPPERS = [
  ['strip'],
  ['strip', '--strip-all'],
  // dracut without elfutils, plain and with --aggressive-strip
  ['strip', '-g', '-p'],
  ['strip', '-p'],
  // dh_strip
  ['strip', '--remove-section=.comment', '--remove-section=.note'],
  ['strip', '--strip-unneeded'],
  // rpm's brp-strip and brp-strip-comment-note
  ['strip', '-g'],
  ['strip', '-R', '.comment', '-R', '.note'],
  ['objcopy', '--strip-all'],
  // dracut with elfutils, plain and with --aggressive-strip
  ['eu-strip', '-g', '-p'],
  ['eu-strip', '-p'],
  ['eu-strip'],
  // rpm's find-debuginfo
  ['eu-strip', '--remove-comment', '-f', work.file('rdpull.debug')],
];

describe('an executable that was stripped is still rdpull', () => {
  test.each(STRIPPERS.map((command) => ({ name: command.join(' '), command })))(
    '$name',
    async ({ command }) => {
      fs.copyFileSync(RDPULL, copy);
      const [program = '', ...options] = command;
      // Refusing is fine, and so is success: what counts is what is left.
      const { error } = spawnSync(program, [...options, copy]);
      expect(error).toBeUndefined();

      const answer = await rdpull(['--version'], { executable: copy });
      expect(answer).toEqual({ status: 0, signal: undefined, stdout: version, stderr: '' });
      const pulled = await rdpull(
        [
          'pull',
          '--verify=no',
          '--force',
          '--quiet',
          `--image-root=${work.path}`,
          `file://${work.file('image.raw.xz')}`,
        ],
        { executable: copy },
      );
      expect(pulled).toEqual({
        status: 0,
        signal: undefined,
        stdout: `${work.file('image.raw')}\n`,
        stderr: '',
      });
      expect(fs.readFileSync(work.file('image.raw')).equals(content)).toBe(true);
      fs.rmSync(work.file('image.raw'));
    },
  );
});

test('dh_strip and brp-strip leave it alone: file(1) does not call it "not stripped"', () => {
  expect(run(['file', '--brief', RDPULL]).toString()).toEndWith(', no section header\n');
});
