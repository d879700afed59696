import fs from 'node:fs';
import path from 'node:path';
import { SHORT_LIVED } from '../../../src/runtime-variables.ts';
import { RDPULL } from '../../fixtures/executable.ts';
import type { Guest } from '../guest.ts';
import { httpBoot, serveUki } from '../http-boot.ts';
import { makeDisk, pack } from '../image.ts';
import type { ImageServer } from '../image-server.ts';
import type { Agent, InitrdFile } from '../initrd.ts';
import { runsBeforeRoot } from '../initrd-unit.ts';
import { expectBooted, type Lab } from '../lab.ts';
import { makeRootTree, type RootTree } from '../root-tree.ts';
import type { Scenario } from '../scenario.ts';
import { whereTheTimeGoes } from '../time-split.ts';
import { tool } from '../tool.ts';
import { toolbox } from '../toolbox.ts';

const ROOT = 'root=/dev/disk/by-loop-ref/root.raw-part1 rootflags=x-systemd.device-timeout=infinity';
const ROUNDS = 5;
const AGENTS: readonly Agent[] = ['systemd', 'rdpull'];

/** systemd's own import beside rdpull: the same image, server and machine, one after the other. */
export const scenarios: readonly Scenario[] = [
  {
    name: 'comparison-direct',
    alone: true,
    title: "an image of 80 MB in xz, explicit URL: systemd's own import and rdpull",
    async run(lab) {
      const tree = await makeRootTree(lab.file('tree'));
      await fill(tree);
      await makeDisk(tree, 'ext4', `${lab.served}/root.raw`);
      await pack(`${lab.served}/root.raw`, 'xz');
      const server = await lab.serve();
      for (const agent of AGENTS) {
        const expression = `rd.systemd.pull=raw,machine,blockdev,verify=no:root:${server.url('root.raw.xz')}`;
        const initrd = await lab.initrd('forky', {}, agent);
        await compared(lab, agent, tree, server, async () =>
          lab.start({ boot: await lab.direct('forky', initrd, `${expression} ${ROOT}`) }),
        );
      }
    },
  },
  {
    name: 'comparison-pulls',
    alone: true,
    title: `on one emulated processor, ${ROUNDS} times each in turns: systemd-pull and rdpull, xz, zstd and raw`,
    async run(lab) {
      const tree = await makeRootTree(lab.file('tree'));
      await fill(tree);
      const image = `${lab.served}/root.raw`;
      await makeDisk(tree, 'ext4', image);
      for (const packing of ['xz', 'zst'] as const) {
        fs.copyFileSync(image, `${image}.copy`);
        fs.renameSync(await pack(`${image}.copy`, packing), `${image}.${packing}`);
      }
      fs.writeFileSync(`${lab.served}/small.raw`, Buffer.alloc(1024, 1));
      const server = await lab.serve();
      const files = {
        ...runsBeforeRoot('/usr/bin/lab-comparison'),
        'usr/bin/lab-comparison': { content: comparison(server.url('')), mode: 0o755 },
        'usr/bin/rdpull': { content: fs.readFileSync(RDPULL), mode: 0o755 },
        ...(await librariesOfRdpull()),
      };
      const boot = await lab.direct('forky', await lab.initrd('forky', files, 'systemd'), 'ip=any');
      await using guest = lab.start({ boot, memory: 3072 });
      await guest.waitFor(/comparison: end/);
      lab.notes.push(...comparedPulls(guest.text));
    },
  },
  {
    name: 'comparison-http-boot',
    alone: true,
    title: "UEFI HTTP boot of the same small image: systemd's own import and rdpull",
    async run(lab) {
      const tree = await makeRootTree(lab.file('tree'));
      await makeDisk(tree, 'ext4', `${lab.served}/image.raw`);
      await pack(`${lab.served}/image.raw`, 'xz');
      for (const agent of AGENTS) {
        const expression = 'rd.systemd.pull=raw,machine,blockdev,verify=no,bootorigin:root:image.raw.xz';
        const server = await serveUki(lab, `${expression} ${ROOT}`, { agent });
        await compared(lab, agent, tree, server, async () => httpBoot(lab, server));
      }
    },
  },
];

const FILES = ['small.raw', 'root.raw.xz', 'root.raw.zst', 'root.raw'] as const;

/** A script of the initrd that pulls each file with both, rdpull as its unit runs it, and says how long that took, in hundredths of a second. */
function comparison(base: string): string {
  return `#!/bin/sh
export ${SHORT_LIVED}
now() { read -r up rest </proc/uptime; echo "\${up%.*}\${up#*.}"; }
measure() {
  what=$1; shift
  rm -rf /run/compared; mkdir /run/compared
  begun=$(now)
  "$@" >/dev/null 2>&1 && echo "comparison: $what $(($(now) - begun))" || echo "comparison: $what failed"
}
until /usr/lib/systemd/systemd-pull raw --verify=no --image-root=/run/compared ${base}small.raw image >/dev/null 2>&1; do sleep 1; done
for round in $(seq ${ROUNDS}); do
  for file in ${FILES.join(' ')}; do
    measure "systemd $file" /usr/lib/systemd/systemd-pull raw --verify=no --keep-download=no --image-root=/run/compared "${base}$file" image
    measure "rdpull $file" /usr/bin/rdpull pull --verify=no --image-root=/run/compared "${base}$file"
  done
done
echo 'comparison: end'
`;
}

/** What else of glibc it is linked with, which the initrd need not have. */
async function librariesOfRdpull(): Promise<Record<string, InitrdFile>> {
  const directory = 'usr/lib/x86_64-linux-gnu';
  const names = ['libdl.so.2', 'libm.so.6', 'libpthread.so.0'];
  const tree = await toolbox('forky');
  const files = names.map((name) => {
    const content = fs.readFileSync(path.join(tree, directory, name));
    return [`${directory}/${name}`, { content, mode: 0o755 }] as const;
  });
  return Object.fromEntries(files);
}

/** What the script has said: the medians, in seconds, and their ratio; with the start, which is what 1 KiB takes, and without. */
function comparedPulls(text: string): string[] {
  const median = (agent: Agent, file: string) => {
    const times = [...text.matchAll(new RegExp(`comparison: ${agent} ${file} (\\d+)`, 'g'))]
      .map(([, time]) => Number(time) / 100)
      .sort((one, other) => one - other);
    if (times.length !== ROUNDS) throw new Error(`${agent} has pulled ${file} ${times.length} times`);
    return times[ROUNDS >> 1] ?? 0;
  };
  return FILES.map((file) => {
    const [systemd, rdpull] = [median('systemd', file), median('rdpull', file)];
    const ratio = ((rdpull - median('rdpull', FILES[0])) / (systemd - median('systemd', FILES[0]))).toFixed(
      2,
    );
    const transfer = file === FILES[0] ? '' : `; the transfer alone ${ratio}`;
    return `${file}: systemd-pull ${systemd} s, rdpull ${rdpull} s, ${(rdpull / systemd).toFixed(2)}${transfer}`;
  });
}

async function compared(
  lab: Lab,
  agent: Agent,
  tree: RootTree,
  server: ImageServer,
  start: () => Promise<Guest>,
): Promise<void> {
  await using guest = await start();
  await expectBooted(lab, guest, tree);
  lab.notes.push(`${agent.padEnd(8)}${whereTheTimeGoes(guest, server)}`);
}

/** Some 50 MB of programs, which xz packs to a third. */
async function fill({ directory }: RootTree): Promise<void> {
  const programs = path.join(await toolbox('forky'), 'usr/lib/x86_64-linux-gnu');
  const script =
    'mkdir "$2/fill"; tar -C "$1" -c --exclude=perl --exclude=gconv . | head -c 48M | tar -C "$2/fill" -x || true';
  await tool(['sh', '-euc', `${script} 2>&1`, 'sh', programs, directory]);
}
