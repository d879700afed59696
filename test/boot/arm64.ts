import fs from 'node:fs';
import path from 'node:path';
import { buildFor } from '../../scripts/architecture.ts';
import { type InitrdFile, withFiles } from './initrd.ts';
import { CHECKOUT, cached, contentHash } from './scratch.ts';
import { tool } from './tool.ts';
import { inToolbox } from './toolbox.ts';

/** Where everything is read from, as on the other machines of the lab. */
export const ARM64_CONSOLE = 'console=ttyAMA0 loglevel=6 systemd.show_status=yes';

/** QEMU, its board for virtual machines, and a processor. */
export const ARM64_QEMU: readonly string[] = [
  'qemu-system-aarch64',
  // `max` has pointer authentication, which costs an emulated machine much.
  ...['-machine', 'virt', '-cpu', 'cortex-a72'],
];

const EDK2 = '/usr/share/AAVMF';
const U_BOOT = 'usr/lib/u-boot/qemu_arm64/u-boot.bin';

let made: Promise<string> | undefined;

/** The systemd, kernel and busybox for arm64, unpacked. It is made when it is not there. */
export function arm64Tree(): Promise<string> {
  made ??= tool([path.join(CHECKOUT, 'scripts/arm64-tree')]).then((output) => output.trimEnd());
  return made;
}

/** Options of QEMU for a machine that starts with EDK2, and can boot over HTTP from its network device. */
export function edk2(variables: string): string[] {
  fs.copyFileSync(`${EDK2}/AAVMF_VARS.fd`, variables);
  return [
    ...['-drive', `if=pflash,format=raw,unit=0,readonly=on,file=${EDK2}/AAVMF_CODE.fd`],
    ...['-drive', `if=pflash,format=raw,unit=1,file=${variables}`],
    // HTTP alone: each of the others would be tried before it, and time out.
    ...['-fw_cfg', 'name=opt/org.tianocore/IPv4PXESupport,string=n'],
    ...['-fw_cfg', 'name=opt/org.tianocore/IPv6PXESupport,string=n'],
  ];
}

/** Options of QEMU for a machine that starts with U-Boot, which looks for an EFI system partition on its disks. */
export function uBoot(disk: string): string[] {
  const drive = ['-drive', `if=none,id=disk,format=raw,file=${disk}`, '-device', 'virtio-blk-pci,drive=disk'];
  return ['-bios', `/${U_BOOT}`, ...drive];
}

/** Options of QEMU for a machine without disks that starts with the U-Boot of the tree, which can boot over HTTP. */
export async function newerUBoot(): Promise<string[]> {
  return ['-bios', path.join(await arm64Tree(), U_BOOT)];
}

/** A range of physical memory, in bytes. */
export interface MemoryRange {
  readonly start: number;
  readonly size: number;
}

/**
 * The device tree of QEMU's board with one more node, of memory that a boot loader has left something in: as U-Boot makes it
 * (Documentation/devicetree/bindings/pmem/pmem-region.txt).
 */
export async function makeDeviceTree(file: string, { start, size }: MemoryRange): Promise<void> {
  const [qemu = '', machine = '', board, ...processor] = ARM64_QEMU;
  await tool([qemu, machine, `${board},dumpdtb=${file}`, ...processor, '-nodefaults', '-display', 'none']);
  const node = `/pmem@${start.toString(16)}`;
  await tool(['fdtput', '--create', file, node]);
  await tool(['fdtput', '--type', 's', file, node, 'compatible', 'pmem-region']);
  await tool(['fdtput', '--type', 'u', file, node, 'reg', '0', String(start), '0', String(size)]);
  await tool(['fdtput', file, node, 'volatile']);
}

/** QEMU's options for a kernel that is booted without firmware, and so without ACPI. @param deviceTree by default QEMU's own */
export async function arm64Direct(commandLine: string, deviceTree?: string): Promise<string[]> {
  const tree = await arm64Tree();
  const kernel = `${tree}/usr/lib/modules/${kernelRelease(tree)}/vmlinuz`;
  const words = `${ARM64_CONSOLE} ${commandLine}`;
  const options = ['-kernel', kernel, '-initrd', await arm64Initrd(), '-append', words];
  return deviceTree === undefined ? options : [...options, '-dtb', deviceTree];
}

/** Modules of the kernel that a pull and the root need, or that find the devices of the machine; with what they depend on. */
const MODULES = [
  'efivarfs',
  'erofs',
  'ext4',
  'loop',
  'nd_pmem',
  'nvme-tcp',
  'of_pmem',
  'overlay',
  'squashfs',
  'virtio_blk',
  'virtio_net',
  'virtio_rng',
];

/** What no initrd needs, most of it large. */
const LEFT_OUT = [
  'boot',
  'usr/lib/dracut',
  'usr/lib/aarch64-linux-gnu/gconv',
  'usr/lib/systemd/boot',
  'usr/lib/u-boot',
  'usr/share',
  'var',
];

/**
 * Makes an initrd out of the tree, with the tools of the toolbox: dracut would have to run programs of the other architecture. Called with
 * the release of the kernel, the names of the tree and of the initrd, and the modules.
 */
const INITRD = `
release=$1 tree=/shared/$2 initrd=/shared/$3
shift 3
modules=$tree/usr/lib/modules/$release
depmod --basedir "$tree" "$release"
modprobe --dirname "$tree" --set-version "$release" --show-depends --all "$@" | awk '$1 == "insmod" { print $2 }' |
  xargs realpath >/tmp/kept
find "$modules/kernel" -type f | while read -r module; do
  grep -qxF "$module" /tmp/kept || rm "$module"
done
depmod --basedir "$tree" "$release"
systemd-sysusers --root="$tree"
systemctl --root="$tree" --quiet enable systemd-networkd.service systemd-networkd-wait-online.service
systemctl --root="$tree" --quiet add-wants initrd.target systemd-networkd.service rdpull-free-initramfs.service rdpull-report-root.service
cd "$tree"
find . -print0 | cpio --null --create --format=newc --owner=0:0 --quiet | zstd -q -3 >"$initrd"`;

/** An initrd with rdpull for arm64 in it, beside which nothing else may lie that is called `initrd.tree`. */
export async function arm64Initrd(): Promise<string> {
  const from = await arm64Tree();
  const release = kernelRelease(from);
  await tool([path.join(CHECKOUT, 'scripts/build'), '--arch=arm64', '--without-size']);
  const sources = [buildFor('arm64').executable, 'dracut-module', 'scripts/install', 'units'];
  const key = contentHash(
    [release, INITRD, ...MODULES, ...LEFT_OUT],
    sources.map((source) => path.join(CHECKOUT, source)),
  );
  return await cached('initrd-arm64', key, async (file) => {
    const tree = `${file}.tree`;
    try {
      await makeTree(from, tree, release);
      const names = [release, path.basename(tree), path.basename(file)];
      await inToolbox('forky', path.dirname(file), INITRD, [...names, ...MODULES]);
    } finally {
      fs.rmSync(tree, { recursive: true, force: true });
    }
  });
}

/** What the initrd is made of: the tree, rdpull as scripts/install puts it, and what its dracut module adds. */
async function makeTree(from: string, tree: string, release: string): Promise<void> {
  await tool(['cp', '--archive', from, tree]);
  const modules = `usr/lib/modules/${release}`;
  for (const name of [...LEFT_OUT, `${modules}/vmlinuz`, `${modules}/dtb`, `${modules}/System.map`])
    fs.rmSync(path.join(tree, name), { recursive: true, force: true });
  await tool([path.join(CHECKOUT, 'scripts/install'), `DESTDIR=${tree}`, 'ARCH=arm64']);
  fs.rmSync(path.join(tree, 'usr/share'), { recursive: true });
  fs.rmSync(path.join(tree, 'usr/lib/dracut'), { recursive: true });
  const put = (name: string, source: string) => {
    fs.mkdirSync(path.join(tree, path.dirname(name)), { recursive: true });
    fs.copyFileSync(path.join(CHECKOUT, 'dracut-module', source), path.join(tree, name));
  };
  put('usr/lib/systemd/network/zzzz-rdpull.network', 'zzzz-rdpull.network');
  const drop = 'usr/lib/systemd/system/systemd-networkd-wait-online.service.d/rdpull.conf';
  put(drop, 'wait-online.conf');
  for (const name of ['dev', 'proc', 'run', 'sys', 'sysroot', 'tmp', 'root', 'var'])
    fs.mkdirSync(path.join(tree, name), { recursive: true });
  fs.symlinkSync('usr/lib/systemd/systemd', path.join(tree, 'init'));
  const release64 = 'ID=rdpull-lab\nPRETTY_NAME="the initrd of the rdpull lab"\n';
  fs.writeFileSync(path.join(tree, 'etc/initrd-release'), release64);
  fs.writeFileSync(path.join(tree, 'etc/os-release'), release64);
  fs.writeFileSync(path.join(tree, 'etc/machine-id'), '');
}

/** Makes a UKI with systemd-stub for arm64, whose boot URL it leaves in an EFI variable. */
export async function makeArm64Uki(
  commandLine: string,
  file: string,
  files: Readonly<Record<string, InitrdFile>> = {},
): Promise<void> {
  const tree = await arm64Tree();
  const directory = path.dirname(file);
  const parts = {
    linux: `${tree}/usr/lib/modules/${kernelRelease(tree)}/vmlinuz`,
    stub: `${tree}/usr/lib/systemd/boot/efi/linuxaa64.efi.stub`,
  };
  for (const [name, source] of Object.entries(parts))
    fs.copyFileSync(source, path.join(directory, `part.${name}`));
  await withFiles(await arm64Initrd(), files, path.join(directory, 'part.initrd'));
  const script = `cd /shared
ukify build --efi-arch aa64 --linux part.linux --initrd part.initrd --stub part.stub --cmdline "$2" --output "$1" >&2
rm part.*`;
  const words = `${ARM64_CONSOLE} ${commandLine}`;
  await inToolbox('forky', directory, script, [path.basename(file), words]);
}

function kernelRelease(tree: string): string {
  const [release, ...others] = fs.readdirSync(path.join(tree, 'usr/lib/modules'));
  if (release === undefined || others.length > 0) throw new Error(`not one kernel in ${tree}`);
  return release;
}
