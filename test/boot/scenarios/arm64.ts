import fs from 'node:fs';
import {
  ARM64_QEMU,
  arm64Direct,
  arm64Tree,
  edk2,
  makeArm64Uki,
  makeDeviceTree,
  newerUBoot,
  uBoot,
} from '../arm64.ts';
import { DnsServer } from '../dns-server.ts';
import { makeEspDisk } from '../esp.ts';
import type { Guest } from '../guest.ts';
import { makeDisk, pack } from '../image.ts';
import { runsBeforeRoot } from '../initrd-unit.ts';
import { startTarget } from '../kernel-target.ts';
import { expectBooted, expectConsole, type Lab } from '../lab.ts';
import { MARK, makeRootTree, type RootTree } from '../root-tree.ts';
import type { Scenario } from '../scenario.ts';
import { whereTheTimeGoes } from '../time-split.ts';
import { tool } from '../tool.ts';

/** Seconds: twice what one machine at a time needs. */
const LIMIT = 900;

/** The same on 64-bit Arm: QEMU's `virt`, emulated on whatever the machine is. */
export const scenarios: readonly Scenario[] = [
  {
    name: 'arm64-http-boot',
    title: 'arm64: UEFI HTTP boot of image.efi by EDK2; image.raw.xz beside it is the root',
    async run(lab) {
      const tree = await serveRoot(lab);
      await makeArm64Uki('rd.systemd.pull=raw,machine,verify=no,bootorigin::', lab.file('image.efi'));
      lab.publish(lab.file('image.efi'));
      const server = await lab.serve();
      const guest = lab.start({
        qemu: ARM64_QEMU,
        boot: edk2(lab.file('variables.fd')),
        network: `,bootfile=${server.url('image.efi')}`,
        networkDevice: ',bootindex=0',
        limit: LIMIT,
      });
      await expectBooted(lab, guest, tree);
      lab.notes.push(whereTheTimeGoes(guest, server));
      expectConsole(guest, new RegExp(`${MARK} root .* /dev/loop0p1 `));
      expectConsole(guest, new RegExp(`${MARK} loop device .*/bootorigin\\.raw`));
    },
  },
  {
    name: 'arm64-u-boot',
    title:
      'arm64: U-Boot starts image.efi from a disk; no variable has a URL, so the command line has it, with {arch}',
    async run(lab) {
      const tree = await serveRoot(lab, 'arm64.raw');
      const server = await lab.serve();
      const url = server.url('{arch}.raw.xz');
      await makeArm64Uki(`rd.systemd.pull=raw,machine,verify=no:root:${url}`, lab.file('image.efi'));
      await makeEspDisk(lab.file('disk.raw'), { 'EFI/BOOT/BOOTAA64.EFI': lab.file('image.efi') });
      const guest = lab.start({ qemu: ARM64_QEMU, boot: uBoot(lab.file('disk.raw')), limit: LIMIT });
      await guest.waitFor(/U-Boot 20/);
      await expectBooted(lab, guest, tree);
      lab.notes.push(whereTheTimeGoes(guest, server));
      expectConsole(guest, new RegExp(`${MARK} root .* /dev/loop0p1 `));
    },
  },
  {
    name: 'arm64-u-boot-http',
    title:
      'arm64: U-Boot boots image.efi over HTTP, from a boot entry with its URL, which is what bootorigin finds',
    async run(lab) {
      const tree = await serveRoot(lab);
      await makeArm64Uki(
        'rd.systemd.pull=raw,machine,verify=no,bootorigin::',
        lab.file('image.efi'),
        runsBeforeRoot('/usr/bin/rdpull origin'),
      );
      lab.publish(lab.file('image.efi'));
      // It takes no port, and asks for the address of an address as well.
      const server = await lab.serve({ port: 80 });
      await using _dns = await DnsServer.start(0);
      const guest = lab.start({ qemu: ARM64_QEMU, boot: await newerUBoot(), limit: LIMIT });
      await guest.waitFor(/Hit any key to stop autoboot/);
      guest.type('');
      await typeAtPrompt(guest, [
        'setenv autoload no',
        'dhcp',
        'setenv dnsip 10.0.2.2',
        'efidebug boot add -u 1 lab http://10.0.2.2/image.efi',
        'efidebug boot order 1',
        'bootefi bootmgr',
      ]);
      await expectBooted(lab, guest, tree);
      lab.notes.push(whereTheTimeGoes(guest, server));
      expectConsole(guest, /says +BootCurrent/);
      expectConsole(guest, new RegExp(`${MARK} root .* /dev/loop0p1 `));
      expectConsole(guest, new RegExp(`${MARK} loop device .*/bootorigin\\.raw`));
    },
  },
  {
    name: 'arm64-nvme',
    title: 'arm64: the root stays on an NVMe server, and is written to',
    async run(lab) {
      const tree = await makeRootTree(
        lab.file('tree'),
        `echo kept >/etc/kept && echo "${MARK} written $(cat /etc/kept)"`,
        await arm64Tree(),
      );
      const image = lab.file('image');
      await makeDisk(tree, 'ext4', image, 'arm64');
      const nqn = 'nqn.2023-10.io.systemd:storagetm.0123456789abcdef0123456789abcdef.image.raw';
      const target = await startTarget(lab, [{ nqn, image }]);
      const guest = lab.start({
        qemu: ARM64_QEMU,
        boot: await arm64Direct(`rd.systemd.pull=raw,machine,verify=no:root:${target.url}/${nqn} rw`),
        limit: LIMIT,
      });
      await expectBooted(lab, guest, tree);
      expectConsole(guest, new RegExp(`${MARK} root .* - ext4 /dev/nvme0n1p1 rw`));
      expectConsole(guest, new RegExp(`${MARK} written kept`));
    },
  },
  {
    name: 'arm64-ram-disk',
    title:
      'arm64: the device tree says where a disk image is in memory: it is the root, told by its digest; nothing is downloaded',
    async run(lab) {
      const tree = await makeRootTree(lab.file('tree'), '', await arm64Tree());
      const image = lab.file('memory');
      await makeDisk(tree, 'ext4', image, 'arm64');
      const digest = (await tool(['sha256sum', image])).slice(0, 64);
      // Above what the kernel takes for its memory.
      const range = { start: 0x8000_0000, size: (Math.ceil(fs.statSync(image).size / UNIT) + 1) * UNIT };
      await makeDeviceTree(lab.file('device-tree'), range);
      const server = await lab.serve();
      const expression = `raw,machine,ramdisk,verify=sha256:${digest}:root:${server.url('root.raw.xz')}`;
      const guest = lab.start({
        qemu: ARM64_QEMU,
        boot: await arm64Direct(`mem=1G rd.systemd.pull=${expression}`, lab.file('device-tree')),
        options: ['-device', `loader,file=${image},addr=${range.start},force-raw=on`],
        limit: LIMIT,
      });
      await expectBooted(lab, guest, tree);
      expectConsole(guest, new RegExp(`${MARK} loop device .*/pmem0`));
      expectConsole(guest, /rdpull: .* is \/dev\/pmem0, .* verified by the digest/);
      if (server.requests.length > 0) throw new Error('the server was asked for something');
    },
  },
];

/** Types commands at U-Boot's prompt, each when the one before has come to its end. */
async function typeAtPrompt(guest: Guest, commands: readonly string[]): Promise<void> {
  for (const [before, command] of commands.entries()) {
    await guest.waitFor(new RegExp(`(?:\\n=> [\\s\\S]*){${before}}\\n=> $`));
    guest.type(command);
  }
}

/** What a device of memory is a multiple of. */
const UNIT = 2 * 1024 * 1024;

/** Puts a root for arm64 where the machine will find it. */
async function serveRoot(lab: Lab, name = 'image.raw'): Promise<RootTree> {
  const tree = await makeRootTree(lab.file('tree'), '', await arm64Tree());
  await makeDisk(tree, 'ext4', `${lab.served}/${name}`, 'arm64');
  await pack(`${lab.served}/${name}`, 'xz');
  return tree;
}
