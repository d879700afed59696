import fs from 'node:fs';
import { freePort } from '../../fixtures/daemon.ts';
import type { Suite } from '../../fixtures/suite-tree.ts';
import { directBoot } from '../direct-boot.ts';
import type { Guest } from '../guest.ts';
import { httpBoot, serveUki } from '../http-boot.ts';
import { type FileSystem, fileSystemState, makeDisk } from '../image.ts';
import { runsBeforeRoot, watchesAddresses } from '../initrd-unit.ts';
import { type Exported, sentBy, startTarget } from '../kernel-target.ts';
import { expectBooted, expectConsole, type Lab } from '../lab.ts';
import { MARK, makeRootTree, PROOF, type RootTree, writeBallast } from '../root-tree.ts';
import type { Scenario } from '../scenario.ts';
import { addNetwork, makeSystemdTree, NETWORK_FILE } from '../systemd-tree.ts';
import { digestOf, tool } from '../tool.ts';
import { INSIST, makeSignatory, makeVerityDisk, POLICY, trusting } from '../verity-image.ts';

/** As systemd-storagetm calls what it has. */
const nqnOf = (name: string) => `nqn.2023-10.io.systemd:storagetm.0123456789abcdef0123456789abcdef.${name}`;

/** Writes, and says what of an earlier boot is there, and what udev and the kernel say of the disk. */
const WRITES = `
echo "${MARK} kept $(cat /etc/kept 2>&1)"
echo "written in this boot" >/etc/kept && echo "${MARK} written $(cat /etc/kept)"
echo "${MARK} links $(ls -l /dev/disk/by-loop-ref | awk '{ print $9, $11 }')"
echo "${MARK} read-only $(cat /sys/block/nvme0n1/ro)"
`;

const LINKS = new RegExp(
  `${MARK} links[^]*root\\.raw \\.\\./\\.\\./nvme0n1\\n[^]*root\\.raw-part1 \\.\\./\\.\\./nvme0n1p1\\n`,
);

const FAILED_UNITS = `echo "${MARK} failed units: $(systemctl list-units --failed --plain --no-legend | awk '{ print $1 }' | tr '\\n' ' ')"`;

/** What a systemd in the real root has: its own networkd has taken the interface over, and udev's links are made anew. */
const TAKEN_OVER = `
/usr/lib/systemd/systemd-networkd-wait-online --timeout=120
status() { networkctl --no-pager --all status 2>&1 | grep -E 'Network File:|State:|Address:' | tr -s ' \\n' ' '; }
i=0
until status | grep -q 'Network File: /${NETWORK_FILE}' || [ $i -ge 60 ]; do sleep 1; i=$((i + 1)); done
echo "${MARK} network $(status)"
rdpull_links=$(ls /dev/disk/by-loop-ref); echo "${MARK} links in the real root" $rdpull_links
echo "${MARK} addresses are watched: $(systemctl is-active lab-addresses.service)"
`;

/** What it does while its server goes away, and then: reads what is in no cache, and writes. */
const OUTAGE = `
${TAKEN_OVER}
echo "${MARK} up"
sleep 10
echo 3 >/proc/sys/vm/drop_caches
# Even date would have to be read from the server.
read -r begun rest </proc/uptime
echo "${MARK} proof again $(sha256sum /${PROOF})"
date >/etc/kept && sync && read -r now rest </proc/uptime
echo "${MARK} written after $((\${now%.*} - \${begun%.*})) s"
${FAILED_UNITS}
`;

/** Whose initrd, root and kernel are clients as well. */
const OLDER_SYSTEMDS: readonly (readonly [number, Suite])[] = [
  [252, 'bookworm'],
  [257, 'trixie'],
];

/** How long the server is away, in ms. */
const AWAY = 60_000;

/** What comes into the RAM, or stays on its server: MiB. */
const COMPARED = 1024;

async function exportTree(
  lab: Lab,
  name: string,
  tree: RootTree,
  kind: FileSystem = 'ext4',
): Promise<Exported> {
  const image = lab.file(name);
  await makeDisk(tree, kind, image);
  return { nqn: nqnOf(name), image };
}

/** A root that stays on its server. */
export const scenarios: readonly Scenario[] = [
  {
    name: 'nvme',
    title:
      'direct boot from an explicit URL, writable: what the first boot has written is there in the second',
    async run(lab) {
      const tree = await makeRootTree(lab.file('tree'), WRITES);
      const exported = await exportTree(lab, 'image.raw', tree);
      const target = await startTarget(lab, [exported]);
      const commandLine = `rd.systemd.pull=raw,machine,verify=no:root:${target.url}/${exported.nqn} rw`;
      for (const kept of ["cat: can't open '/etc/kept'", 'written in this boot']) {
        const guest = await directBoot(lab, { commandLine });
        await expectBooted(lab, guest, tree);
        expectConsole(guest, new RegExp(`${MARK} root .* - ext4 /dev/nvme0n1p1 rw`));
        expectConsole(guest, new RegExp(`${MARK} kept ${kept}`));
        expectConsole(guest, LINKS);
        await guest.switchedOff();
      }
    },
  },
  {
    name: 'nvme-boot-origin',
    title:
      'UEFI HTTP boot: the server of the UKI is asked what it has; read-only, and written to with overlay=tmpfs over an erofs',
    async run(lab) {
      const tree = await makeRootTree(lab.file('tree'), WRITES);
      const other = await makeRootTree(lab.file('other'));
      const target = await startTarget(lab, [
        await exportTree(lab, 'other.raw', other),
        await exportTree(lab, 'image.raw', tree, 'erofs'),
      ]);
      const server = await serveUki(
        lab,
        `rd.systemd.pull=raw,machine,ro,overlay=tmpfs,verify=no,bootorigin:root:nvme+tcp://:${target.port} rw`,
      );
      const guest = httpBoot(lab, server);
      await expectBooted(lab, guest, tree);
      expectConsole(guest, new RegExp(`${MARK} root .* - overlay rdpull rw`));
      expectConsole(guest, new RegExp(`${MARK} written written in this boot`));
      expectConsole(guest, new RegExp(`${MARK} read-only 1`));
      expectConsole(guest, LINKS);
    },
  },
  {
    name: 'nvme-outage',
    title:
      'the server goes away for 60 s under a running system with systemd 262, which waits and goes on, and switches itself off cleanly',
    async run(lab) {
      const tree = await makeSystemdTree(lab.file('tree'), OUTAGE);
      addNetwork(tree);
      const exported = await exportTree(lab, 'image.raw', tree);
      fs.rmSync(tree.directory, { recursive: true });
      const target = await startTarget(lab, [exported]);
      const guest = await directBoot(lab, {
        files: watchesAddresses(),
        commandLine: `rd.systemd.pull=raw,machine,verify=no:root:${target.url}/${exported.nqn} rw rd.rdpull.free_initramfs=no`,
        limit: 1200,
      });
      await guest.waitFor(new RegExp(`${MARK} up`));
      await target.guest[Symbol.asyncDispose]();
      await Bun.sleep(AWAY);
      await startTarget(lab, [exported], target.port);
      await expectBooted(lab, guest, tree);
      expectConsole(guest, new RegExp(`${MARK} proof again ${tree.sha256} `));
      expectConsole(guest, new RegExp(`${MARK} written after [3-9]\\d s`));
      expectTakenOver(guest);
      await expectSwitchedOff(lab, guest, exported.image);
    },
  },
  ...OLDER_SYSTEMDS.map(
    ([systemd, suite]): Scenario => ({
      name: `nvme-systemd-${systemd}`,
      title: `systemd ${systemd} and the kernel of ${suite}, in initrd and root: no root=, written to, networkd takes over, switched off cleanly`,
      async run(lab) {
        const tree = await makeSystemdTree(lab.file('tree'), `${TAKEN_OVER}${FAILED_UNITS}`, suite);
        addNetwork(tree);
        const exported = await exportTree(lab, 'image.raw', tree);
        fs.rmSync(tree.directory, { recursive: true });
        const target = await startTarget(lab, [exported]);
        const guest = await directBoot(lab, {
          suite,
          files: watchesAddresses(),
          // On a slow host the emulation takes so long to clear pages that code was run from that keep-alives are missed.
          commandLine: `rd.systemd.pull=raw,machine,verify=no:root:${target.url}/${exported.nqn} rw rd.rdpull.free_initramfs=no`,
          limit: 1200,
        });
        await expectBooted(lab, guest, tree);
        expectConsole(guest, new RegExp(`${MARK} root .* - ext4 /dev/nvme0n1p1 rw`));
        expectTakenOver(guest);
        await expectSwitchedOff(lab, guest, exported.image);
      },
    }),
  ),
  ...OLDER_SYSTEMDS.map(
    ([systemd, suite]): Scenario => ({
      name: `nvme-systemd-${systemd}-ro`,
      title: `systemd ${systemd} and the kernel of ${suite}: ro, found by root=/dev/disk/by-loop-ref, nothing can be written`,
      async run(lab) {
        const tree = await makeRootTree(lab.file('tree'), WRITES);
        const exported = await exportTree(lab, 'image.raw', tree);
        const target = await startTarget(lab, [exported]);
        const before = await digestOf(exported.image);
        const guest = await directBoot(lab, {
          suite,
          commandLine: `rd.systemd.pull=raw,machine,ro,verify=no:root:${target.url}/${exported.nqn} root=/dev/disk/by-loop-ref/root.raw-part1 ro`,
        });
        await expectBooted(lab, guest, tree);
        expectConsole(guest, new RegExp(`${MARK} root .* - ext4 /dev/nvme0n1p1 ro`));
        expectConsole(guest, /can't create \/etc\/kept: Read-only file system/);
        expectConsole(guest, new RegExp(`${MARK} read-only 1`));
        expectConsole(guest, LINKS);
        await guest.switchedOff();
        if ((await digestOf(exported.image)) !== before) throw new Error('something was written to the disk');
      },
    }),
  ),
  {
    name: 'nvme-by-hand',
    title:
      'the kernel of bookworm: rdpull attach in the initrd, typed by somebody, loads the module by modprobe, and root= finds the disk',
    async run(lab) {
      const tree = await makeRootTree(lab.file('tree'), WRITES);
      const exported = await exportTree(lab, 'image.raw', tree);
      const target = await startTarget(lab, [exported]);
      const attach = `/usr/bin/rdpull attach --loop-ref=root.raw ${target.url}/${exported.nqn}`;
      const guest = await directBoot(lab, {
        suite: 'bookworm',
        files: runsBeforeRoot(`/bin/sh -c "test ! -e /sys/module/nvme_tcp && ${attach}"`),
        commandLine: 'rd.neednet=1 ip=dhcp root=/dev/disk/by-loop-ref/root.raw-part1 rw',
      });
      await expectBooted(lab, guest, tree);
      expectConsole(guest, new RegExp(`${MARK} root .* - ext4 /dev/nvme0n1p1 rw`));
      expectConsole(guest, LINKS);
    },
  },
  {
    name: 'nvme-refused',
    title:
      'a wrong name, a port on which nobody listens, a subsystem that is not for this machine: the console says so',
    async run(lab) {
      const tree = await makeRootTree(lab.file('tree'));
      const image = await exportTree(lab, 'image.raw', tree);
      const denied = { ...(await exportTree(lab, 'denied.raw', tree)), isDenied: true };
      const target = await startTarget(lab, [image, denied]);
      const pull = (name: string, url: string) => `rd.systemd.pull=raw,machine,verify=no:${name}:${url}`;
      const guest = await directBoot(lab, {
        commandLine: [
          pull('wrong', `${target.url}/${nqnOf('missing.raw')}`),
          pull('nobody', `nvme+tcp://10.0.2.2:${await freePort()}`),
          pull('denied', `${target.url}/${denied.nqn}`),
          'root=/dev/disk/by-loop-ref/wrong.raw',
        ].join(' '),
      });
      await expectSaid(guest, [
        `rdpull: error: 10\\.0\\.2\\.2:${target.port}: the server answers, and does not have \\S+missing\\.raw \\(the kernel says: .*; it has ${image.nqn}`,
        'try: compare the name with what the target says of itself',
        `retry: rdpull attach --loop-ref=wrong\\.raw --patience=300 nvme\\+tcp://10\\.0\\.2\\.2:${target.port}/`,
        'rdpull: 10\\.0\\.2\\.2:\\d+: nobody listens there; trying again in ',
        `rdpull: error: 10\\.0\\.2\\.2:${target.port}: the server does not let this machine have ${denied.nqn} \\(the kernel says: `,
        'try: allow the host NQN of this machine there, or write the one that is allowed into /etc/nvme/hostnqn',
      ]);
      lab.report(guest);
    },
  },
  {
    name: 'nvme-verity',
    title:
      'what vouches for such a disk: systemd.image_policy=root=signed takes its signed image, and the root is a dm-verity device',
    async run(lab) {
      const tree = await makeRootTree(lab.file('tree'));
      const builder = await makeSignatory(lab.directory, 'builder');
      const image = lab.file('image.raw');
      await makeVerityDisk(tree, builder, image);
      const target = await startTarget(lab, [{ nqn: nqnOf('image.raw'), image }]);
      const guest = await directBoot(lab, {
        files: await trusting(builder),
        commandLine: `rd.systemd.pull=raw,machine,ro,verify=no:rootdisk:${target.url} root=dissect ${POLICY} ${INSIST}`,
      });
      await expectBooted(lab, guest, tree);
      expectConsole(guest, new RegExp(`${MARK} root .* - erofs /dev/mapper/root `));
    },
  },
  {
    name: 'nvme-comparison',
    alone: true,
    title: 'a Debian of 1 GiB: its root from an NVMe server beside a download',
    async run(lab) {
      const tree = await makeSystemdTree(lab.file('tree'), `echo "${MARK} multi-user"`);
      // mkfs gets a quarter more than is in it, and 12 MiB.
      const used = Number((await tool(['du', '-sm', tree.directory])).split('\t')[0]);
      writeBallast(tree.directory, Math.floor(((COMPARED - 2 - 12) * 4) / 5) - used);
      const exported = await exportTree(lab, 'image.raw', tree);
      fs.rmSync(tree.directory, { recursive: true });
      fs.linkSync(exported.image, `${lab.served}/image.raw`);
      const server = await lab.serve();
      const target = await startTarget(lab, [exported]);
      const before = await sentBy(target);
      await course(lab, tree, `${target.url}/${exported.nqn}`, async () => (await sentBy(target)) - before);
      await course(lab, tree, server.url('image.raw'), async () =>
        server.requests.reduce((sum, { bytes }) => sum + bytes, 0),
      );
    },
  },
];

/** The networkd of the real root has the network, and udev there the links. */
function expectTakenOver(guest: Guest): void {
  const network = `${MARK} network .*(?:State: routable.*Network File: /${NETWORK_FILE}|Network File: /${NETWORK_FILE}.*State: routable).*Address: 10\\.0\\.2\\.15`;
  expectConsole(guest, new RegExp(network));
  expectConsole(guest, new RegExp(`${MARK} links in the real root root\\.raw root\\.raw-part1\\n`));
  // The tree has no kernel modules, so that systemd's own attempt at binfmt_misc fails.
  expectConsole(guest, new RegExp(`${MARK} failed units: (?!.*(?:rdpull|network|(?<!binfmt_misc)\\.mount))`));
  expectConsole(guest, new RegExp(`${MARK} addresses are watched: active\\n`));
}

/** As {@link watchesAddresses} says. */
const ADDRESS = 'inet 10\\.0\\.2\\.15/';

/** The machine comes down in time, nothing was an error to anybody, and the file system has all that was written. */
async function expectSwitchedOff(lab: Lab, guest: Guest, image: string): Promise<void> {
  const begun = guest.seconds();
  await guest.waitFor(/reboot: Power down/);
  await guest.switchedOff();
  lab.notes.push(`switched off ${(guest.seconds() - begun).toFixed(1)} s after it was asked for`);
  expectConsole(guest, new RegExp(ADDRESS));
  if (new RegExp(`Deleted .*${ADDRESS}`).test(guest.text)) throw new Error('the address was away');
  if (/I\/O error|Remounting filesystem read-only|blk_update_request/.test(guest.text)) {
    throw new Error('something was an error to somebody');
  }
  const state = await fileSystemState(image);
  if (!/state: +clean$/m.test(state) || /needs_recovery/.test(state))
    throw new Error(`the file system was not left in order:\n${state}`);
}

/** Boots a machine from the image, and notes how long that takes since the unit was started, and what the server sends for it. */
async function course(lab: Lab, tree: RootTree, url: string, sent: () => Promise<number>): Promise<void> {
  await using guest = await directBoot(lab, {
    commandLine: `rd.systemd.pull=raw,machine,verify=no:root:${url} ro`,
    memory: 3072,
    limit: 1500,
  });
  const way = url.startsWith('nvme') ? 'NVMe' : 'download';
  await guest.waitFor(/Starting rdpull@/);
  const begun = guest.seconds();
  for (const [when, expected] of [
    ['root mounted', /Mounted.*(?:sysroot\.mount|\/sysroot)/],
    ['multi-user', new RegExp(`${MARK} multi-user`)],
  ] as const) {
    await guest.waitFor(expected);
    const seconds = guest.seconds() - begun;
    lab.notes.push(
      `${way}: ${when} after ${seconds.toFixed(1)} s, ${Math.round((await sent()) / 2 ** 20)} MiB sent`,
    );
  }
  await expectBooted(lab, guest, tree);
  await guest.switchedOff();
}

/** Waits until a machine whose boot fails has said all of that. */
async function expectSaid(guest: Guest, patterns: readonly string[]): Promise<void> {
  for (const pattern of patterns) await guest.waitFor(new RegExp(pattern), /Kernel panic/);
}
