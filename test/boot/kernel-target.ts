import fs from 'node:fs';
import path from 'node:path';
import { freePort } from '../fixtures/daemon.ts';
import type { Guest } from './guest.ts';
import { withFiles } from './initrd.ts';
import { CONSOLE, type Lab } from './lab.ts';
import { MARK } from './root-tree.ts';
import { tool } from './tool.ts';
import { kernel, toolbox } from './toolbox.ts';

/** One image that a target has. */
export interface Exported {
  readonly nqn: string;
  /** A raw image, which is written to. */
  readonly image: string;
  /** Whether nobody may have it. */
  readonly isDenied?: boolean;
  /** Who may have it alone, and has to authenticate itself. */
  readonly demands?: Demand;
}

/** A host, and the secrets of DH-HMAC-CHAP: nvme-gen-dhchap-key(1). */
export interface Demand {
  readonly hostNqn: string;
  readonly secret: string;
  /** What the target shows itself with; without one it does not. */
  readonly controllerSecret?: string;
  /** Of Diffie and Hellman. An emulated machine on a busy host takes longer for one than the five seconds that the target waits; by default none. */
  readonly group?: 'ffdhe2048';
}

/** What leads a machine of the lab to a target. */
export interface Target {
  readonly guest: Guest;
  readonly port: number;
  /** `nvme+tcp://10.0.2.2:PORT` */
  readonly url: string;
}

/** What the target is made of, and the network of the machine that it runs on. */
const MODULES = ['virtio_net', 'virtio_blk', 'nvmet-tcp'];

/**
 * Switches on a machine that is nothing but the NVMe target of the kernel, and can be reached by a port of this one. The identities of its
 * disks are always the same, as after a restart of a server.
 *
 * @param known the port that another target has had, which is switched off
 */
export async function startTarget(lab: Lab, exported: readonly Exported[], known?: number): Promise<Target> {
  const port = known ?? (await freePort());
  const initrd = lab.file('target-initrd');
  const empty = lab.file('target-empty');
  fs.writeFileSync(empty, '');
  await withFiles(empty, await targetFiles(exported), initrd);
  const { file } = await kernel('forky');
  const guest = lab.start({
    boot: ['-kernel', file, '-initrd', initrd, '-append', CONSOLE],
    memory: 512,
    network: `,hostfwd=tcp:127.0.0.1:${port}-:4420`,
    options: exported.flatMap(({ image }) => ['-drive', `file=${image},format=raw,if=virtio,cache=unsafe`]),
    limit: 3000,
  });
  await guest.waitFor(new RegExp(`${MARK} target`), /failed to open|Kernel panic/);
  return { guest, port, url: `nvme+tcp://10.0.2.2:${port}` };
}

/** Bytes that a target has sent since it is up. */
export async function sentBy({ guest }: Target): Promise<number> {
  const said = () => [...guest.text.matchAll(new RegExp(`${MARK} sent (\\d+)$`, 'gm'))];
  const before = said().length;
  guest.type('');
  while (said().length === before) await Bun.sleep(50);
  return Number(said().at(-1)?.[1]);
}

async function targetFiles(exported: readonly Exported[]) {
  const tree = await toolbox('forky');
  const program = (content: string | Uint8Array) => ({ content, mode: 0o755 });
  const modules = await modulesFor(tree);
  return {
    'bin/busybox': program(fs.readFileSync(path.join(tree, 'usr/bin/busybox'))),
    init: program(initScript(exported, [...modules.keys()])),
    ...Object.fromEntries([...modules].map(([name, content]) => [`modules/${name}`, { content }])),
  };
}

/** The modules with what they need, in the order in which they are loaded. */
async function modulesFor(tree: string): Promise<ReadonlyMap<string, Uint8Array>> {
  const { release } = await kernel('forky');
  const found = new Map<string, Uint8Array>();
  for (const module of MODULES) {
    const listing = await tool([
      'modprobe',
      `--set-version=${release}`,
      `--dirname=${tree}/usr`,
      '--show-depends',
      module,
    ]);
    for (const [, file = ''] of listing.matchAll(/^insmod (\S+)/gm)) {
      const name = path.basename(file).replace(/\.xz$/, '');
      if (!found.has(name)) found.set(name, await unpacked(file));
    }
  }
  return found;
}

async function unpacked(file: string): Promise<Uint8Array> {
  if (!file.endsWith('.xz')) return fs.readFileSync(file);
  const child = Bun.spawn(['xz', '--decompress', '--stdout', file], { stdout: 'pipe' });
  return await child.stdout.bytes();
}

/** Sets the target up by configfs: Documentation/nvme, and drivers/nvme/target/configfs.c. */
const initScript = (exported: readonly Exported[], modules: readonly string[]) => `#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc none /proc; mount -t sysfs none /sys; mount -t devtmpfs none /dev
exec >/dev/console 2>&1 </dev/console
for module in ${modules.join(' ')}; do insmod /modules/$module; done
mount -t configfs none /sys/kernel/config
ifconfig lo 127.0.0.1 up; ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up
cd /sys/kernel/config/nvmet
mkdir ports/1
echo tcp >ports/1/addr_trtype; echo ipv4 >ports/1/addr_adrfam; echo 0.0.0.0 >ports/1/addr_traddr; echo 4420 >ports/1/addr_trsvcid
${exported.map(exportScript).join('\n')}
echo "${MARK} target"
while read -r _; do echo "${MARK} sent $(awk '/eth0:/ { print $10 }' /proc/net/dev)"; done
`;

const exportScript = ({ nqn, isDenied = false, demands }: Exported, index: number) => `
mkdir -p subsystems/${nqn}/namespaces/1
echo ${isDenied || demands !== undefined ? 0 : 1} >subsystems/${nqn}/attr_allow_any_host
echo -n lab${index} >subsystems/${nqn}/attr_serial
echo -n /dev/vd${'abcdefgh'.charAt(index)} >subsystems/${nqn}/namespaces/1/device_path
echo -n 00000000-0000-4000-8000-00000000000${index} >subsystems/${nqn}/namespaces/1/device_uuid
echo 1 >subsystems/${nqn}/namespaces/1/enable
${demands === undefined ? '' : demandScript(nqn, demands)}
ln -s /sys/kernel/config/nvmet/subsystems/${nqn} ports/1/subsystems/
`;

const demandScript = (nqn: string, { hostNqn, secret, controllerSecret, group }: Demand) => `
mkdir hosts/${hostNqn}
echo -n '${secret}' >hosts/${hostNqn}/dhchap_key
${controllerSecret === undefined ? '' : `echo -n '${controllerSecret}' >hosts/${hostNqn}/dhchap_ctrl_key`}
echo -n 'hmac(sha512)' >hosts/${hostNqn}/dhchap_hash
${group === undefined ? '' : `echo -n ${group} >hosts/${hostNqn}/dhchap_dhgroup`}
ln -s /sys/kernel/config/nvmet/hosts/${hostNqn} subsystems/${nqn}/allowed_hosts/
`;
