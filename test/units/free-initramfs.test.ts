import { afterAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { systemdTree } from '../fixtures/systemd-tree.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const NAME = 'rdpull-free-initramfs.service';
const UNIT = path.join(import.meta.dir, '../../units', NAME);

const work = new TemporaryDirectory();
afterAll(() => work[Symbol.dispose]());

/** What systemd-analyze says of the unit, as an initrd has it. */
function verify(systemd: string, text: string): string[] {
  const tree = systemd === '252' ? undefined : systemdTree(systemd === '257' ? 'trixie' : 'forky');
  const command = tree?.command('usr/bin/systemd-analyze') ?? ['systemd-analyze'];
  const units = work.file(systemd);
  fs.mkdirSync(path.join(units, 'initrd.target.wants'), { recursive: true });
  fs.rmSync(path.join(units, 'initrd.target.wants', NAME), { force: true });
  fs.symlinkSync(`../${NAME}`, path.join(units, 'initrd.target.wants', NAME));
  fs.writeFileSync(path.join(units, NAME), text);
  const all = path.join(tree?.path ?? '/', 'usr/lib/systemd/system');
  const { stderr } = Bun.spawnSync(
    [...command, 'verify', '--man=no', 'initrd.target', 'initrd-switch-root.target', NAME],
    { env: { PATH: process.env['PATH'] ?? '', SYSTEMD_UNIT_PATH: `${units}:${all}` } },
  );
  return stderr
    .toString()
    .split('\n')
    .filter((line) => line !== '' && !/ is not executable: No such file or directory$/.test(line));
}

describe.each(['252', '257', '262'])('systemd-analyze of systemd %s', (systemd) => {
  const text = fs.readFileSync(UNIT, 'utf8');

  test('has nothing to say of the unit in an initrd, and finds no cycle', () => {
    expect(verify(systemd, text)).toEqual([]);
  });

  test('would notice a mistake, and a cycle', () => {
    expect(verify(systemd, text.replace('Type=notify', 'Type=nothing')).join()).toMatch(
      /Failed to parse .*nothing/,
    );
    expect(
      verify(systemd, text.replace('Before=', 'After=initrd-cleanup.service\nBefore=')).join(),
    ).toContain('cycle');
  });
});
