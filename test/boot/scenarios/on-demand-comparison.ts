import fs from 'node:fs';
import { AGENT_MEMORY, expectAgentMemory } from '../agent-memory.ts';
import { directBoot } from '../direct-boot.ts';
import type { Guest } from '../guest.ts';
import { makeDisk } from '../image.ts';
import type { ImageServer } from '../image-server.ts';
import { expectConsole, type Lab } from '../lab.ts';
import { MARK, PROOF, writeBallast } from '../root-tree.ts';
import type { Scenario } from '../scenario.ts';
import { notesOf, percent, type Sent } from '../sent-share.ts';
import { makeSystemdTree } from '../systemd-tree.ts';
import { tool } from '../tool.ts';

const IMAGE = 'root.raw';
/** MiB */
const SIZE = 1024;
/** 100 Mbit/s, in bytes a second, for all answers together. */
const LINK = 12_500_000;
/** MiB: the image is in the RAM. */
const MEMORY = 3072;
/**
 * As the machines have that are booted so. One emulated processor is busy with the boot alone, and the fill has what the boot leaves over:
 * complete after 1.60 of the download.
 */
const PROCESSORS: readonly string[] = ['-smp', '2'];

/** Says when the root is up, and switches the machine off when the image is complete, if that is wanted. */
const SCRIPT = `
echo "${MARK} multi-user: $(systemctl show -P StatusText 'rdpull@*')"
${AGENT_MEMORY}
agent_memory
if ! grep -q fill=no /proc/cmdline; then
  while [ ! -e /run/machines/${IMAGE} ]; do agent_memory; sleep 0.25; done
fi
echo "${MARK} memory: $most kB"
echo "${MARK} complete"
echo "${MARK} proof again $(sha256sum /${PROOF})"
`;

/** How an image is brought: the options of the expression. */
const WAYS = {
  download: 'raw,machine,verify=no',
  'on demand': 'raw,machine,on-demand,verify=no',
  'what is read': 'raw,machine,on-demand,fill=no,verify=no',
} as const;
type Way = keyof typeof WAYS;

/** The points of a boot; seconds since the image was asked for. */
interface Course {
  /** When a tenth of the image was sent. */
  readonly tenth: number;
  readonly mounted: Sent;
  readonly multiUser: Sent;
  readonly complete: Sent;
}

/** One image, one after the other, in machines that are alike: downloaded, on demand, and on demand with nothing but what is read. */
export const scenarios: readonly Scenario[] = [
  {
    name: 'on-demand-comparison',
    alone: true,
    title: 'a Debian of 1 GiB over 100 Mbit/s: on demand beside a download',
    async run(lab) {
      const tree = await makeSystemdTree(lab.file('tree'), SCRIPT);
      // mkfs gets a quarter more than is in it, and 12 MiB.
      const used = Number((await tool(['du', '-sm', tree.directory])).split('\t')[0]);
      writeBallast(tree.directory, Math.floor(((SIZE - 2 - 12) * 4) / 5) - used);
      await makeDisk(tree, 'ext4', `${lab.served}/${IMAGE}`);
      fs.rmSync(tree.directory, { recursive: true });
      const server = await lab.serve({ link: LINK });
      const download = await course(lab, server, 'download', tree.sha256);
      const onDemand = await course(lab, server, 'on demand', tree.sha256);
      const read = await course(lab, server, 'what is read', tree.sha256);

      const sooner = download.multiUser.seconds / onDemand.multiUser.seconds;
      const later = onDemand.complete.seconds / download.complete.seconds;
      lab.notes.push(
        `a tenth of the download: ${download.tenth.toFixed(1)} s; root mounted on demand: ${onDemand.mounted.seconds.toFixed(1)} s`,
        `multi-user ${sooner.toFixed(2)} times sooner, complete after ${later.toFixed(2)} times the download`,
      );
      const missed = [
        missedTarget('fetched until the root is mounted', onDemand.mounted.share, 0.03),
        missedTarget('root mounted, in tenths of the download', onDemand.mounted.seconds / download.tenth, 1),
        missedTarget('read until multi-user', read.multiUser.share, 0.3),
        missedTarget('until multi-user, of what a download takes', 1 / sooner, 0.5),
        missedTarget('until complete, of what a download takes', later, 1.15),
      ].filter((text) => text !== undefined);
      if (missed.length > 0) throw new Error(missed.join('; '));
    },
  },
];

function missedTarget(what: string, value: number, limit: number): string | undefined {
  return value < limit ? undefined : `${what}: ${value.toFixed(3)}, and not less than ${limit}`;
}

/** Boots a machine from the image, until that is complete and the root is up. */
async function course(lab: Lab, server: ImageServer, way: Way, sha256: string): Promise<Course> {
  const { size } = fs.statSync(`${lab.served}/${IMAGE}`);
  await using guest = await directBoot(lab, {
    commandLine: `rd.systemd.pull=${WAYS[way]}:root:${server.url(IMAGE)} ro`,
    memory: MEMORY,
    options: PROCESSORS,
    limit: 1500,
  });
  const note = notesOf(lab, guest, server, { served: IMAGE, size });
  const begun = () => guest.seconds(server.requests.find((each) => each.begun > guest.begun)?.begun);
  const reached = async (when: string, expected: RegExp): Promise<Sent> => {
    await guest.waitFor(expected);
    const { seconds, ...sent } = note(`${way}: ${when}`);
    return { seconds: seconds - begun(), ...sent };
  };
  await guest.waitFor(/rdpull: pulling/);
  const tenth = tenthOf(guest, server, size);
  // Who downloads has it all before its root is there.
  const isComplete =
    way === 'download' ? /rdpull: .* received, .* written in / : new RegExp(`${MARK} complete`);
  const complete = reached('complete', isComplete);
  complete.catch(() => undefined);
  const mounted = await reached('root mounted', /Mounted.*(?:sysroot\.mount|\/sysroot)/);
  const multiUser = await reached('multi-user', new RegExp(`${MARK} multi-user:`));
  await guest.booted();
  expectConsole(guest, new RegExp(`${MARK} proof again ${sha256} `));
  const course = {
    tenth: (await tenth) - begun(),
    mounted,
    multiUser,
    complete: (await complete) ?? multiUser,
  };
  if (way !== 'download') expectAgentMemory(lab, guest);
  const [, said = ''] = new RegExp(`${MARK} multi-user: (.*)`).exec(guest.text) ?? [];
  lab.notes.push(
    `${way}, seconds since the image was asked for: root mounted ${shown(mounted)}, multi-user ${shown(multiUser)}, complete ${shown(course.complete)}; then: ${said}`,
  );
  lab.report(guest);
  return course;
}

function shown({ seconds, share }: Sent): string {
  return `${seconds.toFixed(1)} (${percent(share)})`;
}

/** When a tenth of the image has been sent to a machine, in seconds since it was switched on; never if it is not. */
async function tenthOf(guest: Guest, server: ImageServer, size: number): Promise<number> {
  for (;;) {
    const own = server.requests.filter((each) => each.begun > guest.begun);
    if (own.reduce((sum, { bytes }) => sum + bytes, 0) >= size / 10) return guest.seconds();
    if (guest.hasEnded) return Number.POSITIVE_INFINITY;
    await Bun.sleep(50);
  }
}
