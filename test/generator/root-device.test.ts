import { describe, expect, test } from 'bun:test';
import { planPull } from '../../src/generator/planned-pull.ts';
import { awaitedDevice, comesFrom, deviceUnit } from '../../src/generator/root-device.ts';
import { parsePullExpression } from '../../src/request/pull-expression.ts';
import { run } from '../fixtures/run.ts';
import { systemdTree } from '../fixtures/systemd-tree.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

/** Values of root=, in quotes as on a command line. */
const ROOTS = [
  '/dev/disk/by-loop-ref/root.raw-part1',
  '/dev/disk/by-loop-ref/my\\x20root.raw',
  '/dev//sda1',
  'LABEL=root',
  'LABEL=my root',
  'LABEL=a/b\\c%d$e',
  'LABEL=Wurzel-ä€',
  'UUID=0F0F-aBcD',
  'PARTLABEL=root (a)',
  'PARTUUID=6f1c-01',
];

/** The device that systemd's own generator makes the root wait for. */
function deviceOfSystemd(generator: readonly string[], root: string): string {
  using directory = new TemporaryDirectory();
  run([...generator, directory.path, directory.path, directory.path], {
    env: { SYSTEMD_IN_INITRD: '1', SYSTEMD_PROC_CMDLINE: `"root=${root}"` },
  });
  const text = run(['cat', directory.file('initrd-root-device.target.d', '50-root-device.conf')]).toString();
  return /^Requires=(.*)$/m.exec(text)?.[1] ?? '';
}

describe.each([
  ['252, or what is installed here', () => ['/usr/lib/systemd/system-generators/systemd-fstab-generator']],
  ['262', () => systemdTree('forky').command('usr/lib/systemd/system-generators/systemd-fstab-generator')],
])('the unit of the root device is the one that systemd %s waits for:', (_, generator) => {
  test.each(ROOTS)('root=%s', (root) => {
    const device = awaitedDevice(root);
    expect(deviceUnit(device ?? '')).toBe(deviceOfSystemd(generator(), root));
  });
});

test.each([
  ['gpt-auto', 'dev-gpt\\x2dauto\\x2droot.device'],
  ['gpt-auto-force', 'dev-gpt\\x2dauto\\x2droot.device'],
  ['dissect', 'dev-disk-by\\x2ddesignator-root.device'],
])('root=%s waits for %s', (root, unit) => {
  expect(deviceUnit(awaitedDevice(root) ?? '')).toBe(unit);
});

test.each(['tmpfs', 'off', 'fstab', 'bind:/run/machines/x', 'nfs:h:/x', 'cifs://h/x', 'LABEL=', 'FOO=x', ''])(
  'root=%s waits for no device',
  (root) => expect(awaitedDevice(root)).toBeUndefined(),
);

describe('whether a device can come from nowhere but an image', () => {
  const pull = (expression: string) =>
    planPull(
      parsePullExpression(expression, () => undefined),
      true,
      { path: '/x', isShared: false },
    );
  const image = pull('raw,machine,blockdev:my root:http://h/x');
  test.each<[string, boolean]>([
    ['/dev/disk/by-loop-ref/my\\x20root.raw', true],
    ['/dev/disk/by-loop-ref/my\\x20root.raw-part12', true],
    ['/dev/disk/by-loop-ref/my\\x20root.raw-partx', false],
    ['/dev/disk/by-loop-ref/my\\x20root.raw2', false],
    ['/dev/disk/by-loop-ref/other.raw', false],
    ['/dev/loop0', false],
    ['LABEL=my root', false],
    ['gpt-auto', false],
  ])('%s: %p', (root, expected) => {
    expect(comesFrom(awaitedDevice(root) ?? '', root, image)).toBe(expected);
  });

  test('gpt-auto and dissect take an image called rootdisk', () => {
    const rootDisk = pull('raw,machine,blockdev:rootdisk:http://h/x');
    expect(comesFrom('/dev/gpt-auto-root', 'gpt-auto', rootDisk)).toBe(true);
    expect(comesFrom('/dev/disk/by-designator/root', 'dissect', rootDisk)).toBe(true);
  });

  test('an image that is not attached has no device', () => {
    const file = pull('raw,machine:root:http://h/x');
    expect(comesFrom('/dev/disk/by-loop-ref/root.raw', '/dev/disk/by-loop-ref/root.raw', file)).toBe(false);
  });
});
