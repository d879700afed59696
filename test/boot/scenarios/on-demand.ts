import fs from 'node:fs';
import path from 'node:path';
import type { Suite } from '../../fixtures/suite-tree.ts';
import { directBoot } from '../direct-boot.ts';
import type { Guest } from '../guest.ts';
import { httpBoot, serveUki } from '../http-boot.ts';
import { type FileSystem, makeDisk, makeFileSystem } from '../image.ts';
import type { ImageServer } from '../image-server.ts';
import { expectBooted, expectConsole, type Lab } from '../lab.ts';
import { MARK, makeRootTree, PROOF, type RootTree } from '../root-tree.ts';
import type { Scenario } from '../scenario.ts';
import { CHECKOUT } from '../scratch.ts';
import { makeSystemdTree } from '../systemd-tree.ts';
import { tool } from '../tool.ts';

const MIB = 1024 * 1024;

/** Of the image; most of it is read by nobody before it is complete. */
const BALLAST = 40 * MIB;

/** How fast an answer is sent, in bytes a second: the whole takes longer than the boot. */
const RATE = 700 * 1024;

type Packing = 'raw' | 'xz' | 'zst';

interface Variant {
  readonly name: string;
  readonly title: string;
  readonly suite?: Suite;
  readonly image: { readonly in: 'disk' | 'bare'; readonly fileSystem: FileSystem };
  readonly packing: Packing;
  readonly options?: string;
  /** What is on the command line besides the expression; nothing by default. */
  readonly root?: string;
  readonly isHttpBoot?: true;
}

const VARIANTS: readonly Variant[] = [
  {
    name: 'on-demand-http-boot',
    title: 'UEFI HTTP boot of a raw image that is mounted before it is there',
    image: { in: 'disk', fileSystem: 'ext4' },
    packing: 'raw',
    isHttpBoot: true,
  },
  {
    name: 'on-demand-xz',
    title: 'ext4 in a GPT, in blocks of xz',
    image: { in: 'disk', fileSystem: 'ext4' },
    packing: 'xz',
  },
  {
    name: 'on-demand-zstd',
    title: 'systemd 257: ext4 in a GPT, in frames of zstd, found by root=',
    suite: 'trixie',
    image: { in: 'disk', fileSystem: 'ext4' },
    packing: 'zst',
    root: 'root=/dev/disk/by-loop-ref/root.raw-part1',
  },
  {
    name: 'on-demand-252',
    title: 'systemd 252: a bare squashfs',
    suite: 'bookworm',
    image: { in: 'bare', fileSystem: 'squashfs' },
    packing: 'raw',
  },
  {
    name: 'on-demand-bare-ext4',
    title: 'an ext4 without a partition table',
    image: { in: 'bare', fileSystem: 'ext4' },
    packing: 'raw',
  },
];

/** A root that is mounted before it is there, and becomes a file like any other while the machine runs on it. */
const small: readonly Scenario[] = VARIANTS.map(({ name, title, ...variant }) => ({
  name,
  title,
  async run(lab) {
    const tree = await makeRootTree(lab.file('tree'), AFTERWARDS);
    fs.writeFileSync(`${tree.directory}/ballast`, crypto.getRandomValues(Buffer.alloc(BALLAST / 64)));
    for (let part = 1; part < 64; part++) {
      fs.appendFileSync(`${tree.directory}/ballast`, crypto.getRandomValues(Buffer.alloc(BALLAST / 64)));
    }
    const file = await makeImage(lab, tree, variant);
    const served = path.basename(file);
    const { size } = fs.statSync(file);
    const { options = '', root = '', suite, isHttpBoot } = variant;
    const rates = { [served]: RATE };
    let server: ImageServer;
    let guest: Guest;
    if (isHttpBoot === true) {
      const commandLine = `rd.systemd.pull=raw,machine,on-demand,verify=no,bootorigin${options}:root: ${root}`;
      server = await serveUki(lab, commandLine, { server: { rates } });
      guest = httpBoot(lab, server);
    } else {
      server = await lab.serve({ rates });
      const expression = `raw,machine,on-demand,verify=no${options}:root:${server.url(served)}`;
      guest = await directBoot(lab, {
        commandLine: `rd.systemd.pull=${expression} ${root}`,
        ...(suite !== undefined && { suite }),
      });
    }
    const note = (when: string) => noteSent(lab, guest, server, { served, size }, when);
    await guest.waitFor(/Mounted.*(?:sysroot\.mount|\/sysroot)/);
    const mounted = note('root mounted');
    await guest.waitFor(new RegExp(`${MARK} booted`));
    const booted = note('booted');
    await guest.waitFor(new RegExp(`${MARK} complete`));
    note('complete, and handed over');
    await expectBooted(lab, guest, tree);
    expectConsole(guest, new RegExp(`${MARK} at first .*\\.#rdpull-root\\.raw`));
    expectConsole(guest, new RegExp(`${MARK} now root\\.raw /run/machines/root\\.raw`));
    expectConsole(guest, new RegExp(`${MARK} agents: none`));
    expectConsole(guest, new RegExp(`${MARK} proof again ${tree.sha256} `));
    if (mounted > 0.2 || booted > 0.5)
      throw new Error('the root was mounted when much of the image was there already');
    if (note('at the end') > 1.1) throw new Error('much of the image was fetched twice');
  },
}));

/** Notes how much of the image was sent by now, and returns that share. */
function noteSent(
  lab: Lab,
  guest: Guest,
  server: ImageServer,
  { served, size }: { readonly served: string; readonly size: number },
  when: string,
): number {
  const requests = server.requests.filter((each) => each.name === served);
  const bytes = requests.reduce((sum, each) => sum + each.bytes, 0);
  const share = ((bytes * 100) / size).toFixed(1);
  lab.notes.push(
    `${guest.seconds().toFixed(1)} s: ${when}, ${bytes} of ${size} bytes sent (${share} %), ${requests.length} requests`,
  );
  return bytes / size;
}

/** Waits in the real root until the image is complete and the agent gone. */
const AFTERWARDS = `
echo "${MARK} at first" $(ls -a /run/machines)
for each in $(busybox seq 1200); do
  [ ! -e /run/machines/root.raw ] || break
  busybox sleep 0.25
done
for each in $(busybox seq 80); do
  agents=$(grep -l -a '^@rdpull' /proc/[0-9]*/cmdline 2>/dev/null) || true
  [ -n "$agents" ] || break
  busybox sleep 0.25
done
echo "${MARK} complete"
echo "${MARK} agents: \${agents:-none}"
echo "${MARK} now $(ls /run/machines) $(cat /sys/block/loop0/loop/backing_file)"
echo 3 > /proc/sys/vm/drop_caches
echo "${MARK} proof again $(sha256sum /${PROOF})"
echo "${MARK} ballast $(sha256sum /ballast)"
grep -E 'MemAvailable|Shmem:' /proc/meminfo
`;

/** @returns what is served */
async function makeImage(
  lab: Lab,
  tree: RootTree,
  { image, packing, isHttpBoot }: Omit<Variant, 'name' | 'title'>,
): Promise<string> {
  // As bootorigin looks for it.
  const file = `${lab.served}/${isHttpBoot === true ? 'image' : 'root'}.raw`;
  if (image.in === 'disk') await makeDisk(tree, image.fileSystem, file);
  else await makeFileSystem(tree, image.fileSystem, file);
  if (packing === 'raw') return file;
  if (packing === 'xz') await tool(['xz', '-T0', '-1', '--block-size=1MiB', file]);
  else await tool([path.join(CHECKOUT, 'scripts/seekable-zstd'), '--level=3', file]);
  if (packing === 'zst') fs.rmSync(file);
  return `${file}.${packing}`;
}

/** What a systemd in the real root does to a process of the initrd, when it is up. */
const WITH_SYSTEMD = `
unit=$(systemctl list-units --plain --no-legend 'rdpull@*' | awk '{ print $1 }')
state() { echo "${MARK} $1: $unit $(systemctl show -P ActiveState -P SubState "$unit" | tr '\\n' ' '), agents $(grep -l -a '^@rdpull' /proc/[0-9]*/cmdline 2>/dev/null | wc -l)"; }
state 'multi-user'
if grep -q lab.shutdown /proc/cmdline; then
  echo "${MARK} switched off"
  systemctl poweroff
  exit
fi
systemctl daemon-reload
systemctl isolate multi-user.target
state 'isolated'
i=0
while [ ! -e /run/machines/root.raw ] && [ $i -lt 2400 ]; do sleep 0.25; i=$((i + 1)); done
i=0
while grep -q -a '^@rdpull' /proc/[0-9]*/cmdline 2>/dev/null && [ $i -lt 120 ]; do sleep 0.25; i=$((i + 1)); done
echo "${MARK} complete"
state 'complete'
echo "${MARK} now $(ls /run/machines) $(cat /sys/block/loop0/loop/backing_file)"
echo "${MARK} failed units: $(systemctl list-units --failed --plain --no-legend | awk '{ print $1 }' | tr '\\n' ' ')"
echo 3 > /proc/sys/vm/drop_caches
echo "${MARK} proof again $(sha256sum /${PROOF})"
`;

/** A root of 300 MiB takes longer than this machine needs to be up, at so many bytes a second. */
const SYSTEMD_RATE = 1.5 * MIB;

async function bootSystemd(lab: Lab, more: string) {
  const tree = await makeSystemdTree(lab.file('tree'), WITH_SYSTEMD);
  await makeDisk(tree, 'ext4', `${lab.served}/root.raw`);
  fs.rmSync(tree.directory, { recursive: true });
  const { size } = fs.statSync(`${lab.served}/root.raw`);
  const server = await lab.serve({ rates: { 'root.raw': SYSTEMD_RATE } });
  const url = server.url('root.raw');
  const guest = await directBoot(lab, {
    commandLine: `rd.systemd.pull=raw,machine,on-demand,verify=no:root:${url} ro ${more}`,
    limit: 1500,
  });
  const note = (when: string) => noteSent(lab, guest, server, { served: 'root.raw', size }, when);
  await guest.waitFor(/Mounted.*(?:sysroot\.mount|\/sysroot)/);
  const mounted = note('root mounted');
  await guest.waitFor(
    new RegExp(`${MARK} multi-user: rdpull@run-machines-root\\.raw\\.service active running , agents 1`),
  );
  const multiUser = note('multi-user');
  if (mounted > 0.05 || multiUser > 0.6) throw new Error('much of the image was there already');
  return { tree, guest, note };
}

const withSystemd: readonly Scenario[] = [
  {
    name: 'on-demand-systemd',
    title:
      'Debian with systemd 262 in initrd and root: daemon-reload, isolate, and the hand-over while it is up',
    async run(lab) {
      const { tree, guest, note } = await bootSystemd(lab, '');
      await guest.waitFor(new RegExp(`${MARK} isolated: .* active running , agents 1`));
      await guest.waitFor(new RegExp(`${MARK} complete: .* active exited , agents 0`));
      note('complete, and handed over');
      await expectBooted(lab, guest, tree);
      expectConsole(guest, new RegExp(`${MARK} now root\\.raw /run/machines/root\\.raw`));
      expectConsole(guest, new RegExp(`${MARK} proof again ${tree.sha256} `));
      await guest.switchedOff();
    },
  },
  {
    name: 'on-demand-shutdown',
    title: 'the same machine is switched off while its root is still being fetched',
    async run(lab) {
      const { guest, note } = await bootSystemd(lab, 'lab.shutdown');
      await guest.waitFor(new RegExp(`${MARK} switched off`));
      const begun = guest.seconds();
      await guest.waitFor(/reboot: Power down/);
      await guest.switchedOff();
      const fetched = note(`switched off, ${(guest.seconds() - begun).toFixed(1)} s after it was asked for`);
      if (fetched > 0.95) throw new Error('the shutdown has waited for the image');
      lab.report(guest);
    },
  },
];

export const scenarios: readonly Scenario[] = [...small, ...withSystemd];
