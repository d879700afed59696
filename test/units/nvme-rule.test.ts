import { afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test';
import path from 'node:path';
import { claimDisks, forgetDisks, linkDisk, releaseDisks } from '../../src/nvme/device-links.ts';
import { encodeLinkName } from '../../src/request/device-link-name.ts';
import { run } from '../fixtures/run.ts';
import { systemdTree } from '../fixtures/systemd-tree.ts';

// Whoever comes first waits until the tree of a suite is unpacked.
setDefaultTimeout(600_000);

const UNITS = path.resolve(import.meta.dir, '../../units');
const RULE = `${UNITS}/60-rdpull-nvme.rules`;

/** udev writes the tilde in another way. */
const NQN = `nqn.2023-10.io.systemd:storagetm.${process.pid}.my~image.raw`;
const OTHER_NQN = `${NQN}.other`;

/** Where the kernel has a disk, below /sys/devices/virtual: with CONFIG_NVME_MULTIPATH, and without. */
const PLACES = {
  multipath: 'nvme-subsystem/nvme-subsys0',
  'one path': 'nvme-fabrics/ctl/nvme0',
} as const;

/** The udevadm of the machine, 252 in Debian 12, and those of later releases. */
const UDEVADM: Readonly<Record<string, () => readonly string[]>> = {
  "the machine's own udev": () => ['udevadm'],
  'the udev of trixie': () => systemdTree('trixie').command('usr/bin/udevadm'),
  'the udev of forky': () => systemdTree('forky').command('usr/bin/udevadm'),
};

afterEach(() => {
  for (const nqn of [NQN, OTHER_NQN]) forgetDisks(nqn);
});

/**
 * A /sys with a disk and a partition, as drivers/nvme/host makes them, and no rules but ours: udev of this machine hears nothing of it.
 * Called with the rule, the place, the subsystem, and udevadm with its arguments.
 */
const SCRIPT = `
for place in /usr/lib/udev/rules.d /etc/udev/rules.d /run/udev /dev/disk /dev/block /sys; do
  mkdir -p $place
  mount -t tmpfs none $place
done
cp "$1" /etc/udev/rules.d/
parent=/sys/devices/virtual/$2 nqn=$3
shift 3
mkdir -p $parent/nvme0n1/nvme0n1p1 /sys/class/block /sys/class/nvme /sys/dev/block
: >$parent/uevent
echo "$nqn" >$parent/subsysnqn
ln -s /sys/class/nvme $parent/subsystem
echo 1 >$parent/nvme0n1/nsid
printf 'MAJOR=259\\nMINOR=900\\nDEVNAME=nvme0n1\\nDEVTYPE=disk\\n' >$parent/nvme0n1/uevent
printf 'MAJOR=259\\nMINOR=901\\nDEVNAME=nvme0n1p1\\nDEVTYPE=partition\\nPARTN=1\\n' >$parent/nvme0n1/nvme0n1p1/uevent
for device in $parent/nvme0n1 $parent/nvme0n1/nvme0n1p1; do
  ln -s /sys/class/block $device/subsystem
  ln -s $device /sys/class/block/
done
for device in $parent/nvme0n1 $parent/nvme0n1/nvme0n1p1; do
  "$@" --action=add $device 2>&1
done
`;

/** What udev makes of a disk, and of its partition. */
function properties(udevadm: readonly string[], place: string, nqn = NQN): Record<string, string>[] {
  const namespace = ['unshare', '--mount', '--propagation', 'private', 'bash', '-euc', SCRIPT, 'bash'];
  const output = run([...namespace, RULE, place, nqn, ...udevadm, 'test'], {
    env: { ...process.env, SYSTEMD_DEVICE_VERIFY_SYSFS: '0' },
  }).toString();
  const [, disk = '', partition = ''] = output.split(/Reading rules file/);
  return [disk, partition].map((text) =>
    Object.fromEntries(
      [...text.matchAll(/^ *([A-Z_]+)=(.*)$/gm)].map(([, key = '', value = '']) => [key, value]),
    ),
  );
}

describe.each(Object.entries(UDEVADM))('%s', (_name, command) => {
  test.each(Object.entries(PLACES))('makes the links of a disk that is attached: %s', (_kind, place) => {
    linkDisk(NQN, 1, encodeLinkName('my root.raw'), failed);
    expect(properties(command(), place)).toMatchObject([
      { DEVTYPE: 'disk', DEVLINKS: '/dev/disk/by-loop-ref/my\\x20root.raw' },
      { DEVTYPE: 'partition', DEVLINKS: '/dev/disk/by-loop-ref/my\\x20root.raw-part1' },
    ]);
  });

  test('keeps disk and partitions from systemd as long as they are not ready', () => {
    claimDisks(NQN, failed);
    linkDisk(NQN, 1, 'root.raw', failed);
    const claimed = properties(command(), PLACES.multipath);
    expect(claimed.map((each) => each['SYSTEMD_READY'])).toEqual(['0', '0']);
    releaseDisks(NQN);
    const released = properties(command(), PLACES.multipath);
    expect(released.map((each) => each['SYSTEMD_READY'])).toEqual([undefined, undefined]);
    expect(released.map((each) => each['RDPULL_LOOP_REF'])).toEqual(['root.raw', 'root.raw']);
  });

  test('has systemd take apart what is called rootdisk.raw, and only the disk of that', () => {
    linkDisk(NQN, 1, 'rootdisk.raw', failed);
    const marked = properties(command(), PLACES.multipath).map((each) => each['ID_PART_GPT_AUTO_ROOT_DISK']);
    expect(marked).toEqual(['1', undefined]);
  });

  test('leaves disks alone that rdpull has not attached, or has no more', () => {
    const untouched = () =>
      properties(command(), PLACES.multipath).map(({ DEVLINKS, SYSTEMD_READY }) => [DEVLINKS, SYSTEMD_READY]);
    const nothing = [
      [undefined, undefined],
      [undefined, undefined],
    ];
    // Of another subsystem, and of another namespace.
    claimDisks(OTHER_NQN, failed);
    linkDisk(OTHER_NQN, 1, 'other.raw', failed);
    linkDisk(NQN, 2, 'second.raw', failed);
    expect(untouched()).toEqual(nothing);
    linkDisk(NQN, 1, 'root.raw', failed);
    expect(untouched()).not.toEqual(nothing);
    forgetDisks(NQN);
    expect(untouched()).toEqual(nothing);
  });
});

test.each(['trixie', 'forky'] as const)('udevadm verify of %s finds nothing in the rules', (suite) => {
  const rules = ['60-rdpull-loop-ref.rules', '60-rdpull-nvme.rules'].map((name) => `${UNITS}/${name}`);
  const summary = run(systemdTree(suite).command('usr/bin/udevadm', 'verify', ...rules)).toString();
  expect(summary).toMatch(/Success: 2\n\s*Fail:\s+0/);
});

function failed(text: string): never {
  throw new Error(text);
}
