import { afterAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { systemdTree } from '../fixtures/systemd-tree.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const UNITS = path.join(import.meta.dir, '../../units');
const SERVICES = ['rdpull-free-initramfs.service', 'rdpull-report-root.service'];

const work = new TemporaryDirectory();
afterAll(() => work[Symbol.dispose]());

/** What systemd-analyze says of the unit, as an initrd has it. */
function verify(systemd: string, name: string, text: string): string[] {
  const tree = systemd === '252' ? undefined : systemdTree(systemd === '257' ? 'trixie' : 'forky');
  const command = tree?.command('usr/bin/systemd-analyze') ?? ['systemd-analyze'];
  const units = work.file(`${systemd}-${name}`);
  fs.mkdirSync(path.join(units, 'initrd.target.wants'), { recursive: true });
  fs.rmSync(path.join(units, 'initrd.target.wants', name), { force: true });
  fs.symlinkSync(`../${name}`, path.join(units, 'initrd.target.wants', name));
  fs.writeFileSync(path.join(units, name), text);
  const all = path.join(tree?.path ?? '/', 'usr/lib/systemd/system');
  const { stderr } = Bun.spawnSync(
    [...command, 'verify', '--man=no', 'initrd.target', 'initrd-switch-root.target', name],
    { env: { PATH: process.env['PATH'] ?? '', SYSTEMD_UNIT_PATH: `${units}:${all}` } },
  );
  return stderr
    .toString()
    .split('\n')
    .filter((line) => line !== '' && !/ is not executable: No such file or directory$/.test(line));
}

describe.each(['252', '257', '262'])('systemd-analyze of systemd %s', (systemd) => {
  const textOf = (name: string) => fs.readFileSync(path.join(UNITS, name), 'utf8');

  test.each(SERVICES)('has nothing to say of %s in an initrd, and finds no cycle', (name) => {
    expect(verify(systemd, name, textOf(name))).toEqual([]);
  });

  test.each(SERVICES)('would notice a mistake in %s, and a cycle', (name) => {
    const text = textOf(name);
    expect(verify(systemd, name, text.replace('Type=notify', 'Type=nothing')).join()).toMatch(
      /Failed to parse .*nothing/,
    );
    expect(
      verify(systemd, name, text.replace('Before=', 'After=initrd-cleanup.service\nBefore=')).join(),
    ).toContain('cycle');
  });
});
