import fs from 'node:fs';
import path from 'node:path';
import type { Suite } from '../fixtures/suite-tree.ts';
import { packInitrd } from './cpio.ts';
import type { Lab } from './lab.ts';
import { MARK } from './root-tree.ts';
import { inToolbox, kernel } from './toolbox.ts';

/** A machine without systemd, which is up after seconds: its initrd has a kernel's modules, a few programs, and does what its console says. */
export interface SmallMachine {
  /** Of the initrd: one of each name in a lab. */
  readonly name: string;
  /** Whose kernel and programs; the newest by default. */
  readonly suite?: Suite;
  /** What is loaded, besides the network. */
  readonly modules: readonly string[];
  /** Programs of the suite besides busybox, without the first slash. */
  readonly programs?: readonly string[];
  /** Whether it has rdpull. */
  readonly hasRdpull?: boolean;
  /** Shell commands, once the network is up; then each line that is typed is one. */
  readonly script: string;
}

/** The bus is a module in Linux 6.1. */
const NETWORK = ['virtio_pci', 'virtio_net'];

const DIRECTORIES = [
  ...['dev', 'proc', 'sys', 'run', 'srv', 'tmp', 'etc', 'root'],
  ...['usr/bin', 'usr/lib', 'usr/lib64', 'usr/sbin'],
];

/** Where the working copy is, while files are copied. */
const RDPULL = 'checkout/dist/rdpull';

/** Copies modules with what they need, and programs with the libraries that they are linked with, to /shared/$1. */
const COPY = `
into=/shared/$1 release=$2; shift 2
modules=usr/lib/modules/$release
mkdir -p "$into/$modules"
for module in $MODULES; do
  modprobe --set-version="$release" --show-depends "$module"
done | sed -n 's/^insmod \\([^ ]*\\).*/\\1/p' | sort -u | while read -r file; do
  file=usr/lib/modules/\${file#*/lib/modules/}
  mkdir -p "$into/$(dirname "$file")"
  case $file in
    *.xz) xz --decompress --stdout "/$file" >"$into/\${file%.xz}" ;;
    *) cp "/$file" "$into/$file" ;;
  esac
done
sed 's/\\.ko\\.xz/.ko/g' "/$modules/modules.dep" >"$into/$modules/modules.dep"
cp "/$modules/modules.builtin" "$into/$modules/"
for program; do
  { echo "/$program"; ldd "/$program" | grep -o '/[^ ]*' || true; } | while read -r file; do
    place=$(readlink -f "$(dirname "$file")")
    mkdir -p "$into$place"
    cp -L "$file" "$into$place/"
  done
done`;

/** Makes the initrd, and returns QEMU's options for it, but for the command line. */
export async function smallMachine(lab: Lab, machine: SmallMachine): Promise<string[]> {
  const { name, suite = 'forky', programs = [], hasRdpull = false } = machine;
  const modules = [...NETWORK, ...machine.modules];
  const tree = lab.file(name);
  for (const each of DIRECTORIES) fs.mkdirSync(path.join(tree, each), { recursive: true });
  for (const each of ['bin', 'lib', 'lib64', 'sbin']) fs.symlinkSync(`usr/${each}`, path.join(tree, each));
  const { file, release } = await kernel(suite);
  const copy = `MODULES='${modules.join(' ')}'\n${COPY}`;
  const copied = ['usr/bin/busybox', ...programs, ...(hasRdpull ? [RDPULL] : [])];
  await inToolbox(suite, lab.directory, copy, [name, release, ...copied]);
  if (hasRdpull) fs.symlinkSync(`/${RDPULL}`, path.join(tree, 'usr/bin/rdpull'));
  fs.writeFileSync(path.join(tree, 'etc/machine-id'), `${'0123456789abcdef'.repeat(2)}\n`);
  fs.writeFileSync(path.join(tree, 'etc/os-release'), 'ID=rdpull-lab\n');
  fs.writeFileSync(path.join(tree, 'init'), init(modules, machine.script), { mode: 0o755 });
  const initrd = `${tree}.cpio`;
  await packInitrd(tree, initrd);
  fs.rmSync(tree, { recursive: true });
  return ['-kernel', file, '-initrd', initrd];
}

/** QEMU's user network gives this address by DHCP as well, and it needs no client for that. */
function init(modules: readonly string[], script: string): string {
  return `#!/usr/bin/busybox sh
/usr/bin/busybox --install -s /usr/bin
export PATH=/usr/bin:/usr/sbin HOME=/root
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev; mount -t tmpfs tmpfs /run
for module in ${modules.join(' ')}; do modprobe "$module"; done
ip link set lo up; ip address add 10.0.2.15/24 dev eth0; ip link set eth0 up; ip route add default via 10.0.2.2
${script}
echo "${MARK} ready"
while read -r line; do eval "$line"; done
`;
}
