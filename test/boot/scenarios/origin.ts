import fs from 'node:fs';
import { makeEsp } from '../esp.ts';
import { bootMenu, copyVariables, firmware, registerBootEntry, setLoaderVariable } from '../firmware.ts';
import { httpBoot, publishUki, serveUki } from '../http-boot.ts';
import { LABEL, makeDisk, makeFileSystem, pack } from '../image.ts';
import { runsBeforeRoot } from '../initrd-unit.ts';
import { CONSOLE, expectBooted, expectConsole, type Lab } from '../lab.ts';
import { MARK, makeRootTree, type RootTree } from '../root-tree.ts';
import type { Scenario } from '../scenario.ts';
import { tool } from '../tool.ts';
import { makeUki } from '../uki.ts';

const EXPRESSION = 'rd.systemd.pull=raw,machine,verify=no,bootorigin::';

/** On a busy host an emulated machine may need longer than the usual 90 seconds to find its disk. */
const PATIENCE = 'systemd.default_device_timeout_sec=600';

/** Who tells where the machine was booted from. */
export const scenarios: readonly Scenario[] = [
  {
    name: 'loader-url',
    title: 'only LoaderDeviceURL says where the boot loader came from: no systemd-stub, a plain kernel',
    async run(lab) {
      const tree = await serveImage(lab);
      const server = await lab.serve();
      const variables = lab.file('variables.fd');
      copyVariables(variables);
      await setLoaderVariable(variables, 'LoaderDeviceURL', server.url('image.efi'));
      const kernel = await lab.direct('forky', await lab.initrd('forky'), EXPRESSION);
      const guest = lab.start({ boot: [...firmware(variables), ...kernel] });
      await expectBooted(lab, guest, tree);
    },
  },
  {
    name: 'boot-entry-url',
    title: 'the stub of systemd 257 leaves no URL: the boot entry that kernel-bootcfg has registered says it',
    async run(lab) {
      const tree = await serveImage(lab);
      const server = await serveUki(lab, EXPRESSION, { stub: 'trixie' });
      const variables = lab.file('variables.fd');
      copyVariables(variables);
      await registerBootEntry(variables, server.url('image.efi'));
      const guest = lab.start({ boot: firmware(variables) });
      await expectBooted(lab, guest, tree);
    },
  },
  {
    name: 'boot-entry-add',
    title: 'an entry that rdpull boot-entry has made in a booted machine: the next start boots over HTTP',
    async run(lab) {
      const tree = await serveImage(lab);
      const server = await lab.serve();
      const url = server.url('image.efi');
      const files = runsBeforeRoot(`/usr/bin/rdpull boot-entry add --first ${url}`);
      await publishUki(lab, EXPRESSION, { files });
      const first = httpBoot(lab, server);
      await expectBooted(lab, first, tree);
      await first.switchedOff();
      // Now DHCP says no URL.
      const variables = lab.file('variables.fd');
      const second = lab.start({ boot: firmware(variables) });
      await expectBooted(lab, second, tree);
      expectConsole(second, new RegExp(`starting Boot[0-9A-F]{4} "rdpull" from .*MAC\\(.*Uri\\(${url}\\)`));
      await second.switchedOff();
      await expectMenu(variables, new RegExp(`"rdpull".*MAC\\(.*\\/URI\\(${url}\\)`, 'i'));
    },
  },
  {
    name: 'local-disk',
    title:
      'the same UKI on a local disk: nothing is pulled, the disk boots, and not a byte of its root changes',
    async run(lab) {
      const tree = await makeRootTree(lab.file('tree'));
      const disk = await makeBootableDisk(lab, tree);
      await tool(['cp', '--sparse=always', disk, `${disk}.before`]);
      const variables = lab.file('variables.fd');
      copyVariables(variables);
      const drive = ['-drive', `if=none,id=disk,format=raw,file=${disk}`];
      const guest = lab.start({
        boot: [...firmware(variables), ...drive, '-device', 'virtio-blk-pci,drive=disk,bootindex=0'],
      });
      await expectBooted(lab, guest, tree);
      expectConsole(guest, new RegExp(`${MARK} root .* /dev/vda2 `));
      await guest.switchedOff();
      // It fails when they differ. In the ESP, between these, the firmware notes when it has read the UKI.
      for (const part of ['--bytes=1MiB', '--ignore-initial=257MiB'])
        await tool(['cmp', part, disk, `${disk}.before`]);
    },
  },
];

async function serveImage(lab: Lab): Promise<RootTree> {
  const tree = await makeRootTree(lab.file('tree'));
  await makeDisk(tree, 'ext4', `${lab.served}/image.raw`);
  await pack(`${lab.served}/image.raw`, 'xz');
  return tree;
}

/** @throws Error when not exactly one line of the menu, as kernel-bootcfg's library shows it, is like this */
async function expectMenu(variables: string, entry: RegExp): Promise<void> {
  const menu = await bootMenu(variables);
  const found = menu.split('\n').filter((line) => entry.test(line));
  if (found.length !== 1) throw new Error(`${found.length} entries are like ${entry} in the menu:\n${menu}`);
}

/** A disk with an ESP that holds the UKI, and a root partition. */
async function makeBootableDisk(lab: Lab, tree: RootTree): Promise<string> {
  await makeUki(
    { initrd: await lab.initrd('forky'), commandLine: `${CONSOLE} ${PATIENCE} ${EXPRESSION}` },
    lab.file('image.efi'),
  );
  // systemd checks an ext4, and writes to it what it has found.
  await makeFileSystem(tree, 'squashfs', lab.file('root.partition'));
  const disk = lab.file('disk.raw');
  const table = `label: gpt\nstart=2048, size=256M, type=U, name=esp\ntype=4f68bce3-e8cd-4db1-96e7-fbcaf984b709, name=${LABEL}\n`;
  fs.writeFileSync(disk, '');
  fs.truncateSync(disk, 320 * 1024 * 1024);
  await tool(['sfdisk', '--quiet', disk], table);
  await makeEsp(lab.file('esp.partition'), { 'EFI/BOOT/BOOTX64.EFI': lab.file('image.efi') });
  for (const [partition, start] of Object.entries({ 'esp.partition': 1, 'root.partition': 257 })) {
    const copy = ['bs=1M', `seek=${start}`, 'conv=notrunc,sparse', 'status=none'];
    await tool(['dd', `if=${lab.file(partition)}`, `of=${disk}`, ...copy]);
  }
  return disk;
}
