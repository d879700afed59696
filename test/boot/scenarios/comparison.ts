import path from 'node:path';
import type { Guest } from '../guest.ts';
import { httpBoot, serveUki } from '../http-boot.ts';
import { makeDisk, pack } from '../image.ts';
import type { ImageServer } from '../image-server.ts';
import type { Agent } from '../initrd.ts';
import { expectBooted, type Lab } from '../lab.ts';
import { makeRootTree, type RootTree } from '../root-tree.ts';
import type { Scenario } from '../scenario.ts';
import { whereTheTimeGoes } from '../time-split.ts';
import { tool } from '../tool.ts';
import { toolbox } from '../toolbox.ts';

const ROOT = 'root=/dev/disk/by-loop-ref/root.raw-part1 rootflags=x-systemd.device-timeout=infinity';
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
