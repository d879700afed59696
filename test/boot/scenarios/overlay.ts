import { directBoot } from '../direct-boot.ts';
import type { Guest } from '../guest.ts';
import { makeDisk, makeFileSystem, makeTarball } from '../image.ts';
import { expectBooted, expectConsole, type Lab } from '../lab.ts';
import { MARK, makeRootTree } from '../root-tree.ts';
import type { Scenario } from '../scenario.ts';
import { makeSystemdRoot } from '../systemd-root.ts';
import { tool } from '../tool.ts';

/** Writes, and says what is there to be read now, and what of an earlier boot was. */
const WRITES = `
echo "${MARK} kept $(cat /etc/kept 2>&1)"
echo "written in this boot" >/etc/kept
echo "${MARK} written $(cat /etc/kept)"
echo "${MARK} lower $(awk '$5 == "/run/rdpull/overlay/lower" { print }' /proc/self/mountinfo)"
`;

/** Says what an earlier boot has left, and writes; with systemd.volatile= something that nobody is to see again. */
const VOLATILE = `
echo "${MARK} kept $(cat /etc/kept 2>/dev/null || echo nothing of ours)"
if grep -q systemd.volatile=no /proc/cmdline; then echo "written in a boot" >/etc/kept; else echo "lost" >/etc/kept; fi
`;

/** MiB, of the disk of the machine. */
const DISK_SIZE = 64;

const diskOf = (lab: Lab) => lab.file('data.raw');

/** A disk of a machine with one file system, which is called data, and QEMU's options for it. */
async function machineDisk(lab: Lab): Promise<readonly string[]> {
  const disk = diskOf(lab);
  await tool(['truncate', `--size=${DISK_SIZE}M`, disk]);
  await tool(['mkfs.ext4', '-q', '-L', 'data', disk]);
  return ['-drive', `file=${disk},format=raw,if=virtio`];
}

function expectOverlay(guest: Guest): void {
  expectConsole(guest, new RegExp(`${MARK} root .* - overlay rdpull rw`));
  expectConsole(guest, new RegExp(`${MARK} written written in this boot`));
}

/** A root that is not written to, and what is written to it all the same. */
export const scenarios: readonly Scenario[] = [
  {
    name: 'overlay-tmpfs',
    title: 'overlay=tmpfs over an erofs: what is written is in memory',
    async run(lab) {
      const tree = await makeRootTree(lab.file('tree'), WRITES);
      await makeFileSystem(tree, 'erofs', `${lab.served}/root.raw`);
      const server = await lab.serve();
      const commandLine = `rd.systemd.pull=raw,machine,verify=no,overlay=tmpfs:root:${server.url('root.raw')}`;
      const guest = await directBoot(lab, { commandLine });
      await expectBooted(lab, guest, tree);
      expectOverlay(guest);
      expectConsole(guest, new RegExp(`${MARK} lower .* - erofs /dev/loop0 `));
    },
  },
  {
    name: 'overlay-device',
    title: 'overlay=LABEL=data over a tarball, two boots: what the first has written is there in the second',
    async run(lab) {
      const tree = await makeSystemdRoot(lab.file('tree'), 'forky', WRITES);
      await makeTarball(tree, `${lab.served}/root.tar`);
      const server = await lab.serve();
      const options = await machineDisk(lab);
      // An emulated processor takes milliseconds to clear a page that code was run from. When that of the initramfs is given back in front
      // of systemd, which wants new pages, its generators may take more than the 90 s that they have.
      const commandLine = `rd.systemd.pull=tar,machine,verify=no,overlay=LABEL=data:root:${server.url('root.tar')} rd.rdpull.free_initramfs=no`;
      for (const kept of ["cat: can't open '/etc/kept'", 'written in this boot']) {
        const guest = await directBoot(lab, { commandLine, options });
        await expectBooted(lab, guest, tree);
        expectOverlay(guest);
        expectConsole(guest, new RegExp(`${MARK} kept ${kept}`));
        await guest.switchedOff();
      }
    },
  },
  {
    name: 'overlay-volatile',
    title:
      'overlay=LABEL=data below systemd.volatile=overlay: what an earlier boot has kept is seen, and what this one writes is lost',
    async run(lab) {
      const tree = await makeRootTree(lab.file('tree'), VOLATILE);
      await makeFileSystem(tree, 'erofs', `${lab.served}/root.raw`);
      const server = await lab.serve();
      const options = await machineDisk(lab);
      const boot = async (volatile: string) => {
        const commandLine = `rd.systemd.pull=raw,machine,verify=no,overlay=LABEL=data:root:${server.url('root.raw')} systemd.volatile=${volatile}`;
        const guest = await directBoot(lab, { commandLine, options });
        await expectBooted(lab, guest, tree);
        await guest.switchedOff();
        return guest;
      };
      expectConsole(await boot('no'), new RegExp(`${MARK} kept nothing of ours`));
      const over = await boot('overlay');
      expectConsole(over, new RegExp(`${MARK} root .* - overlay (?!rdpull)\\S+ rw`));
      expectConsole(over, new RegExp(`${MARK} kept written in a boot`));
      const kept = await tool(['debugfs', '-R', 'cat /rdpull-overlay/root/upper/etc/kept', diskOf(lab)]);
      if (kept !== 'written in a boot\n') throw new Error(`on the device there is "${kept}"`);
    },
  },
  {
    name: 'overlay-252',
    title: 'systemd 252: overlay=LABEL=data over an ext4 in a partition, found by root=',
    async run(lab) {
      const tree = await makeRootTree(lab.file('tree'), WRITES);
      await makeDisk(tree, 'ext4', `${lab.served}/root.raw`);
      const server = await lab.serve();
      const expression = `rd.systemd.pull=raw,machine,blockdev,verify=no,overlay=LABEL=data:root:${server.url('root.raw')}`;
      const guest = await directBoot(lab, {
        suite: 'bookworm',
        commandLine: `${expression} root=/dev/disk/by-loop-ref/root.raw-part1 ro`,
        options: await machineDisk(lab),
      });
      await expectBooted(lab, guest, tree);
      expectOverlay(guest);
      expectConsole(guest, new RegExp(`${MARK} lower .* - ext4 /dev/loop0p1 `));
    },
  },
  {
    name: 'overlay-missing',
    title:
      'overlay=LABEL=none? goes on in memory after half a minute; without ?, the console says what is wrong',
    async run(lab) {
      const tree = await makeRootTree(lab.file('tree'), WRITES);
      await makeFileSystem(tree, 'squashfs', `${lab.served}/root.raw`);
      const server = await lab.serve();
      const commandLine = (overlay: string) =>
        `rd.systemd.pull=raw,machine,verify=no,overlay=${overlay}:root:${server.url('root.raw')}`;
      const optional = await directBoot(lab, { commandLine: commandLine('LABEL=none?') });
      await expectBooted(lab, optional, tree);
      expectOverlay(optional);
      expectConsole(
        optional,
        /rdpull: warning: what is written to the root cannot go to LABEL=none: there is no /,
      );

      const guest = await directBoot(lab, { commandLine: commandLine('LABEL=none') });
      const said =
        /rdpull: error: what is written to the root cannot go to LABEL=none: there is no \/dev\/disk\/by-label\/none/;
      await guest.waitFor(said, new RegExp(`${MARK} booted|Kernel panic`));
      await guest.waitFor(/retry: rdpull overlay LABEL=none \/sysroot/, /Kernel panic/);
      lab.report(guest);
    },
  },
];
