import fs from 'node:fs';
import { directBoot } from '../direct-boot.ts';
import { makeEsp } from '../esp.ts';
import { copyVariables, firmware } from '../firmware.ts';
import type { Guest } from '../guest.ts';
import { publishUki } from '../http-boot.ts';
import { makeDisk, makeFileSystem, pack } from '../image.ts';
import { expectBooted, expectConsole, type Lab } from '../lab.ts';
import { MARK, makeRootTree, type RootTree } from '../root-tree.ts';
import type { Scenario } from '../scenario.ts';
import { tool } from '../tool.ts';

const MIB = 1024 * 1024;
/** What QEMU rounds the memory of an NVDIMM to. */
const UNIT = 2 * MIB;

/** How xorriso makes an ISO image that is a disk as well. */
const HYBRID = ['-as', 'mkisofs', '-quiet', '-R', '-V', 'lab', '-partition_offset', '16'];

/** Where the image lies in memory that the kernel is told not to use: behind itself and before its initrd. */
const START = 0x4000_0000;

/** The image is in memory before Linux is: in a range that the NFIT of ACPI has, where a UEFI RAM disk is, too, or one that the command line names. */
export const scenarios: readonly Scenario[] = [
  {
    name: 'ram-disk',
    title:
      'a disk image that is in memory already (NFIT) is the root, told by its digest; nothing is downloaded',
    async run(lab) {
      const tree = await makeRootTree(lab.file('tree'));
      const image = lab.file('memory');
      await makeDisk(tree, 'ext4', image);
      const digest = await sha256(image);
      const { size } = fs.statSync(image);
      const server = await lab.serve();
      const expression = `raw,machine,ramdisk,verify=sha256:${digest}:root:${server.url('root.raw.xz')}`;
      const guest = await bootBeside(lab, image, `rd.systemd.pull=${expression}`);
      await expectBooted(lab, guest, tree);
      expectConsole(guest, new RegExp(`${MARK} root .* /dev/loop0p1 ro`));
      expectConsole(guest, new RegExp(`${MARK} loop device .*/pmem0`));
      expectConsole(guest, /rdpull: \/run\/machines\/root\.raw is \/dev\/pmem0, .* verified by the digest/);
      if (server.requests.length > 0) throw new Error('the server was asked for something');
      lab.notes.push(`the image has ${size} bytes, and the device ${fs.statSync(image).size}`);
    },
  },
  {
    name: 'ram-disk-memmap',
    title:
      'memmap= says where an image is in memory: with another digest it is passed over and the download is the root; with its own it is the root',
    async run(lab) {
      const tree = await makeRootTree(lab.file('tree'));
      await makeDisk(tree, 'ext4', `${lab.served}/image.raw`);
      const other = await makeRootTree(lab.file('other'));
      await makeDisk(other, 'ext4', lab.file('memory'));
      const inMemory = await sha256(lab.file('memory'));
      await pack(`${lab.served}/image.raw`, 'xz');
      const server = await lab.serve();
      const pull = (digest: string) =>
        `rd.systemd.pull=raw,machine,ramdisk,verify=sha256:${digest}:root:${server.url('image.raw.xz')}`;

      const first = await bootAfter(lab, lab.file('memory'), pull(inMemory));
      await expectBooted(lab, first, other);
      expectConsole(first, new RegExp(`${MARK} loop device .*/pmem0`));
      expectConsole(first, /rdpull: .* is \/dev\/pmem0, .* verified by the digest/);
      if (server.requests.length > 0) throw new Error('the server was asked for something');
      await first.switchedOff();

      const packed = await sha256(`${lab.served}/image.raw.xz`);
      const second = await bootAfter(lab, lab.file('memory'), pull(packed));
      await expectBooted(lab, second, tree);
      expectConsole(second, /pmem0 in memory is not the image that was asked for/);
      expectConsole(second, new RegExp(`${MARK} loop device .*/root\\.raw`));
    },
  },
  {
    name: 'ram-disk-iso',
    title:
      'an isohybrid ISO image in memory, listed in the checksum file: the squashfs in it is the root, without mounting the ISO',
    async run(lab) {
      const tree = await makeRootTree(lab.file('tree'));
      const image = lab.file('memory');
      await tool(['xorriso', ...HYBRID, '-o', image, await isoContent(lab, tree)]);
      fs.writeFileSync(`${lab.served}/SHA256SUMS`, `${await sha256(image)}  image.iso\n`);
      const server = await lab.serve();
      const expression = `raw,machine,ramdisk,verify=checksum:root:${server.url('image.iso')}`;
      const guest = await bootBeside(lab, image, `rd.systemd.pull=${expression}`);
      await expectBooted(lab, guest, tree);
      expectConsole(guest, new RegExp(`${MARK} root .* squashfs /dev/loop0 ro`));
      expectConsole(guest, /rdpull: .* is \/dev\/pmem0, .* verified by http:.*SHA256SUMS/);
      const names = server.requests.map(({ name }) => name);
      if (names.includes('image.iso')) throw new Error('the image was downloaded');
      lab.notes.push(`the server was asked for ${names.join(', ')}`);
    },
  },
  {
    name: 'http-boot-iso',
    title:
      'UEFI HTTP boot of an isohybrid ISO image with the UKI and a squashfs in it: what the firmware has downloaded is the root',
    async run(lab) {
      const tree = await makeRootTree(lab.file('tree'));
      // No variable has the URL of the ISO image; DHCP has.
      const expression = 'raw,machine,ramdisk,verify=checksum,bootorigin,dhcporigin::';
      await publishUki(lab, `rd.systemd.pull=${expression}`);
      await makeBootableIso(lab, tree, `${lab.served}/image.iso`);
      // OVMF writes to its EFI system partition, so that nobody can vouch for all of it.
      const root = 'filesystem.squashfs';
      const digest = await sha256(`${lab.file('content')}/live/${root}`);
      fs.writeFileSync(`${lab.served}/SHA256SUMS`, `${digest}  ${root}\n`);
      const server = await lab.serve();
      const variables = lab.file('variables.fd');
      copyVariables(variables);
      const guest = lab.start({
        boot: firmware(variables),
        network: `,bootfile=${server.url('image.iso')}`,
        networkDevice: ',bootindex=0',
        memory: 3072,
      });
      await expectBooted(lab, guest, tree);
      expectConsole(guest, new RegExp(`${MARK} root .* squashfs /dev/loop0 ro`));
      expectConsole(guest, /rdpull: .* is \/dev\/pmem0, .* verified by http:.*SHA256SUMS/);
      const asked = server.requests.map(({ method, name }) => `${method} ${name}`);
      lab.notes.push(`the server was asked for ${asked.join(', ')}`);
      if (asked.filter((each) => each === 'GET image.iso').length !== 1)
        throw new Error('the image was downloaded once more, or never');
    },
  },
];

/** An ISO image that firmware boots from a disk: its own partition table has an ESP with the UKI, which is taken from what is served. */
async function makeBootableIso(lab: Lab, tree: RootTree, file: string): Promise<void> {
  const uki = `${lab.served}/image.efi`;
  const esp = lab.file('esp');
  await makeEsp(esp, { 'EFI/BOOT/BOOTX64.EFI': uki }, Math.ceil(fs.statSync(uki).size / MIB) + 8);
  fs.rmSync(uki);
  const hybrid = [...HYBRID, '-append_partition', '2', '0xef', esp, '-appended_part_as_gpt'];
  await tool(['xorriso', ...hybrid, '-o', file, await isoContent(lab, tree)]);
}

/** What is in the ISO image of a Debian Live system, as far as it matters here. */
async function isoContent(lab: Lab, tree: RootTree): Promise<string> {
  const content = lab.file('content');
  fs.mkdirSync(`${content}/live`, { recursive: true });
  await makeFileSystem(tree, 'squashfs', `${content}/live/filesystem.squashfs`);
  return content;
}

/** Switches on a machine with a file in its memory. */
async function bootBeside(lab: Lab, file: string, commandLine: string): Promise<Guest> {
  const size = Math.ceil(fs.statSync(file).size / UNIT + 1) * UNIT;
  fs.truncateSync(file, size);
  return directBoot(lab, {
    commandLine,
    options: [
      ...['-machine', 'nvdimm=on', '-m', '2048,slots=2,maxmem=8G'],
      ...['-object', `memory-backend-file,id=memory,share=off,mem-path=${file},size=${size}`],
      ...['-device', 'nvdimm,memdev=memory'],
    ],
  });
}

/** Switches on a machine in whose memory something has left a file, and whose kernel is told so. */
async function bootAfter(lab: Lab, file: string, commandLine: string): Promise<Guest> {
  const size = Math.ceil(fs.statSync(file).size / UNIT + 1) * UNIT;
  const options = ['-device', `loader,file=${file},addr=${START},force-raw=on`];
  return directBoot(lab, { commandLine: `memmap=${size}!${START} ${commandLine}`, options });
}

async function sha256(file: string): Promise<string> {
  return (await tool(['sha256sum', file])).slice(0, 64);
}
