import fs from 'node:fs';
import path from 'node:path';
import { AGENT_MEMORY, expectAgentMemory } from '../agent-memory.ts';
import { directBoot } from '../direct-boot.ts';
import { makeDisk } from '../image.ts';
import { withFiles } from '../initrd.ts';
import { CONSOLE, expectBooted, expectConsole, type Lab } from '../lab.ts';
import { MARK, PROOF } from '../root-tree.ts';
import type { Scenario } from '../scenario.ts';
import { notesOf } from '../sent-share.ts';
import { addNetwork, makeSystemdTree, NETWORK_FILE } from '../systemd-tree.ts';
import { kernel, toolbox } from '../toolbox.ts';

/** A root of 300 MiB takes longer than this machine needs to be up, at so many bytes a second of each answer. */
const RATE = 1.5 * 1024 * 1024;

/** A kernel that is started by another one, and what it runs; below the root of the image. */
const SECOND_KERNEL = 'usr/lib/second';

/** kexec_file_load(2) is 320 on x86-64; systemd does the rest. */
const LOAD_SECOND = `perl -e '
  open(my $kernel, "<", "/${SECOND_KERNEL}/kernel") or die; open(my $initrd, "<", "/${SECOND_KERNEL}/initrd") or die;
  my $words = "${CONSOLE}\\0";
  syscall(320, fileno($kernel), fileno($initrd), length($words), $words, 0) == 0 or die "kexec_file_load: $!"'`;

/** What a systemd in the real root does to a process of the initrd, when it is up. */
const SCRIPT = `
unit=$(systemctl list-units --plain --no-legend 'rdpull@*' | awk '{ print $1 }')
state() { echo "${MARK} $1: $unit $(systemctl show -P ActiveState -P SubState "$unit" | tr '\\n' ' '), agents $(grep -l -a '^@rdpull' /proc/[0-9]*/cmdline 2>/dev/null | wc -l)"; }
state 'multi-user'
echo "${MARK} status: $(systemctl show -P StatusText "$unit")"
if grep -q lab.shutdown /proc/cmdline; then
  echo "${MARK} switched off"
  systemctl poweroff
  exit
fi
if grep -q lab.kexec /proc/cmdline; then
  ${LOAD_SECOND}
  echo "${MARK} loaded $(cat /sys/kernel/kexec/loaded /sys/kernel/kexec_loaded 2>/dev/null)"
  systemctl kexec
  exit
fi
/usr/lib/systemd/systemd-networkd-wait-online --timeout=60
i=0
until networkctl --no-pager --all status 2>&1 | grep -q 'Network File: /${NETWORK_FILE}' || [ $i -ge 60 ]; do sleep 1; i=$((i + 1)); done
echo "${MARK} network: $(networkctl --no-pager --all status 2>&1 | grep -E 'Network File|State:|Address:|[Ff]ailed' | tr -s ' \\n' ' ')"
systemctl daemon-reload
systemctl isolate multi-user.target
state 'isolated'
${AGENT_MEMORY}
i=0
while [ ! -e /run/machines/root.raw ] && [ $i -lt 600 ]; do agent_memory; sleep 1; i=$((i + 1)); done
echo "${MARK} memory: $most kB"
i=0
while grep -q -a '^@rdpull' /proc/[0-9]*/cmdline 2>/dev/null && [ $i -lt 120 ]; do sleep 0.25; i=$((i + 1)); done
echo "${MARK} complete"
state 'complete'
echo "${MARK} now $(ls /run/machines) $(cat /sys/block/loop0/loop/backing_file)"
echo "${MARK} failed units: $(systemctl list-units --failed --plain --no-legend | awk '{ print $1 }' | tr '\\n' ' ')"
echo 3 > /proc/sys/vm/drop_caches
echo "${MARK} proof again $(sha256sum /${PROOF})"
`;

/** What the second kernel runs. */
const SECOND_INIT = `#!/busybox sh
/busybox mount -t devtmpfs none /dev
exec >/dev/console 2>&1
echo "${MARK} second kernel"
/busybox poweroff -f
`;

/** Boots until multi-user. @param word on the kernel command line: what is done then */
async function boot(lab: Lab, word: string) {
  const tree = await makeSystemdTree(lab.file('tree'), SCRIPT);
  addNetwork(tree);
  if (word === 'lab.kexec') await addSecondKernel(lab, path.join(tree.directory, SECOND_KERNEL));
  await makeDisk(tree, 'ext4', `${lab.served}/root.raw`);
  fs.rmSync(tree.directory, { recursive: true });
  const { size } = fs.statSync(`${lab.served}/root.raw`);
  const server = await lab.serve({ rates: { 'root.raw': RATE } });
  const url = server.url('root.raw');
  const guest = await directBoot(lab, {
    commandLine: `rd.systemd.pull=raw,machine,on-demand,verify=no:root:${url} ro ${word}`,
    limit: 1500,
  });
  const note = notesOf(lab, guest, server, { served: 'root.raw', size });
  await guest.waitFor(/Mounted.*(?:sysroot\.mount|\/sysroot)/);
  const mounted = note('root mounted');
  await guest.waitFor(
    new RegExp(`${MARK} multi-user: rdpull@run-machines-root\\.raw\\.service active running , agents 1`),
  );
  const multiUser = note('multi-user');
  if (mounted.share > 0.05 || multiUser.share > 0.6) throw new Error('much of the image was there already');
  return { tree, guest, note };
}

async function addSecondKernel(lab: Lab, directory: string): Promise<void> {
  fs.mkdirSync(directory, { recursive: true });
  const { file } = await kernel('forky');
  fs.copyFileSync(file, path.join(directory, 'kernel'));
  const busybox = fs.readFileSync(path.join(await toolbox('forky'), 'usr/bin/busybox'));
  const nothing = lab.file('nothing');
  fs.writeFileSync(nothing, '');
  const files = { init: { content: SECOND_INIT, mode: 0o755 }, busybox: { content: busybox, mode: 0o755 } };
  await withFiles(nothing, files, path.join(directory, 'initrd'));
}

export const scenarios: readonly Scenario[] = [
  {
    name: 'on-demand-systemd',
    title:
      'Debian with systemd 262 in initrd and root: networkd takes over, daemon-reload, isolate, and the hand-over while it is up',
    async run(lab) {
      const { tree, guest, note } = await boot(lab, '');
      await guest.waitFor(new RegExp(`${MARK} network: .*${NETWORK_FILE}`));
      note('networkd of the real root has the interface');
      await guest.waitFor(new RegExp(`${MARK} isolated: .* active running , agents 1`));
      await guest.waitFor(new RegExp(`${MARK} complete: .* active exited , agents 0`));
      note('complete, and handed over');
      expectAgentMemory(lab, guest);
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
      const { guest, note } = await boot(lab, 'lab.shutdown');
      await guest.waitFor(new RegExp(`${MARK} switched off`));
      const begun = guest.seconds();
      await guest.waitFor(/reboot: Power down/);
      await guest.switchedOff();
      const off = note(`switched off, ${(guest.seconds() - begun).toFixed(1)} s after it was asked for`);
      if (off.share > 0.95) throw new Error('the shutdown has waited for the image');
      lab.report(guest);
    },
  },
  {
    name: 'on-demand-kexec',
    title: 'the same machine starts another kernel while its root is still being fetched',
    async run(lab) {
      const { guest, note } = await boot(lab, 'lab.kexec');
      await guest.waitFor(new RegExp(`${MARK} loaded 1`));
      const begun = guest.seconds();
      await guest.waitFor(new RegExp(`${MARK} second kernel`));
      const second = note(
        `the second kernel is up, ${(guest.seconds() - begun).toFixed(1)} s after it was asked for`,
      );
      if (second.share > 0.95) throw new Error('it has waited for the image');
      expectConsole(guest, /kexec_core: Starting new kernel/);
      await guest.switchedOff();
      lab.report(guest);
    },
  },
];
