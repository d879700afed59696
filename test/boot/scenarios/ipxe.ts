import fs from 'node:fs';
import { makeEspDisk } from '../esp.ts';
import { copyVariables, firmware } from '../firmware.ts';
import { serveUki } from '../http-boot.ts';
import { makeDisk, pack } from '../image.ts';
import { runsBeforeRoot } from '../initrd-unit.ts';
import { CONSOLE, expectBooted, expectConsole, type Lab } from '../lab.ts';
import { MARK, makeRootTree } from '../root-tree.ts';
import type { Scenario } from '../scenario.ts';

/** Debian's package ipxe. */
const IPXE = '/usr/lib/ipxe/ipxe.efi';

/** A boot loader that fetches the UKI over HTTP itself. */
export const scenarios: readonly Scenario[] = [
  {
    name: 'ipxe-http-boot',
    title:
      'iPXE, started from a disk, boots image.efi over HTTP, and no EFI variable says from where: DHCP does; no disk is in memory',
    async run(lab) {
      const tree = await makeRootTree(lab.file('tree'));
      await makeDisk(tree, 'ext4', `${lab.served}/image.raw`);
      await pack(`${lab.served}/image.raw`, 'xz');
      const expression = 'raw,machine,ramdisk,verify=no,bootorigin,dhcporigin:root:image.raw.xz';
      const commandLine = `${CONSOLE} rd.systemd.pull=${expression}`;
      // iPXE gives a program its own words, and systemd-stub takes them in place of those in the UKI (without Secure Boot).
      fs.writeFileSync(`${lab.served}/boot.ipxe`, `#!ipxe\nchain image.efi ${commandLine}\n`);
      const server = await serveUki(lab, '', {
        files: runsBeforeRoot('/usr/bin/rdpull origin image.raw.xz'),
      });
      const guest = lab.start({ boot: await ipxe(lab), network: `,bootfile=${server.url('boot.ipxe')}` });
      await guest.waitFor(/iPXE 1\./);
      await expectBooted(lab, guest, tree);
      expectConsole(guest, /this machine was not booted over HTTP: no EFI variable holds a boot URL/);
      expectConsole(guest, /dhcporigin +http:\/\/10\.0\.2\.2:\d+\/boot\.ipxe \(boot file name\)/);
      // Nothing is in memory, so that what was downloaded is the root.
      expectConsole(guest, new RegExp(`${MARK} loop device .*/root\\.raw`));
      expectConsole(guest, new RegExp(`${MARK} root .* /dev/loop0p1 `));
    },
  },
];

/** Options of QEMU for a machine whose firmware starts iPXE from its disk. */
async function ipxe(lab: Lab): Promise<string[]> {
  const disk = lab.file('ipxe.raw');
  await makeEspDisk(disk, { 'EFI/BOOT/BOOTX64.EFI': IPXE });
  const variables = lab.file('variables.fd');
  copyVariables(variables);
  const drive = [
    '-drive',
    `if=none,id=disk,format=raw,file=${disk}`,
    '-device',
    'virtio-blk-pci,drive=disk,bootindex=0',
  ];
  return [...firmware(variables), ...drive];
}
