import { ARM64_QEMU, arm64Tree, edk2, makeArm64Uki, uBoot } from '../arm64.ts';
import { makeEspDisk } from '../esp.ts';
import { makeDisk, pack } from '../image.ts';
import { expectBooted, expectConsole, type Lab } from '../lab.ts';
import { MARK, makeRootTree, type RootTree } from '../root-tree.ts';
import type { Scenario } from '../scenario.ts';
import { whereTheTimeGoes } from '../time-split.ts';

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
];

/** Puts a root for arm64 where the machine will find it. */
async function serveRoot(lab: Lab, name = 'image.raw'): Promise<RootTree> {
  const tree = await makeRootTree(lab.file('tree'), '', await arm64Tree());
  await makeDisk(tree, 'ext4', `${lab.served}/${name}`, 'arm64');
  await pack(`${lab.served}/${name}`, 'xz');
  return tree;
}
