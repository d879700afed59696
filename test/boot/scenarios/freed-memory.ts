import fs from 'node:fs';
import type { Suite } from '../../fixtures/suite-tree.ts';
import { makeDisk, pack } from '../image.ts';
import type { Agent } from '../initrd.ts';
import { expectBooted, expectConsole, type Lab } from '../lab.ts';
import { MARK, type RootTree } from '../root-tree.ts';
import type { Scenario } from '../scenario.ts';
import { makeSystemdRoot } from '../systemd-root.ts';

const ROOT = 'root=/dev/disk/by-loop-ref/root.raw-part1 rootflags=x-systemd.device-timeout=infinity rw';
const OFF = 'rd.rdpull.free_initramfs=no';
const UNIT = 'rdpull-free-initramfs.service';

/** What of /proc/meminfo tells of an initramfs that nobody uses: of a tmpfs, of a ramfs, and what it costs. */
const FIELDS = ['Shmem', 'Unevictable', 'MemFree'] as const;

/** Half a minute after the root is up. */
const REPORT = `
sleep 30
echo "${MARK} kernel $(uname -r)"
echo "${MARK} memory $(grep -E '^(${FIELDS.join('|')}):' /proc/meminfo | tr -s ' \\n' ' ')"
echo "${MARK} unit $(systemctl show --property=ActiveState,Result ${UNIT} | tr '\\n' ' ')"
echo "${MARK} failed $(systemctl --failed --no-legend --plain)."
echo "${MARK} journal $(journalctl --boot --output=cat --identifier=rdpull | grep -E 'given? back' | tail -n 1)"
`;

/** A machine that was booted, and what it says of its memory, in MiB. */
type Memory = Readonly<Record<(typeof FIELDS)[number], number>>;

export const scenarios: readonly Scenario[] = [
  {
    name: 'freed-memory',
    title:
      "Linux 7: the memory of the initramfs is given back, with systemd's own import, rdpull, and without a pull",
    async run(lab) {
      const site = await serveRoot(lab, 'forky');
      const boot = boots(lab, site);
      const systemd = await boot("systemd's own", site.pull, { agent: 'systemd' });
      const kept = await boot('rdpull, off', `${site.pull} ${OFF}`);
      const freed = await boot('rdpull', site.pull);
      const local = await boot('no pull', 'root=/dev/vda1 rw', { options: site.disk });
      const held = ({ Shmem, Unevictable }: Memory) => Shmem + Unevictable;
      requireMore('what is given back', 180, held(kept) - held(freed));
      requireMore('what is free after that', 170, freed.MemFree - kept.MemFree);
      requireMore("what is free, against systemd's own import", 50, freed.MemFree - systemd.MemFree);
      requireMore('what is given back without a pull', 180, held(kept) - held(local));
    },
  },
  {
    name: 'freed-memory-earlier',
    title: 'Linux 6.1 and 6.12: systemd itself empties the initramfs, and nothing changes',
    async run(lab) {
      for (const suite of ['bookworm', 'trixie'] as const) {
        const site = await serveRoot(lab, suite);
        const boot = boots(lab, site);
        const off = await boot('rdpull, off', `${site.pull} ${OFF}`);
        const on = await boot('rdpull', site.pull);
        for (const field of ['Shmem', 'Unevictable'] as const)
          requireMore(`${field} of ${suite}`, -8, -Math.abs(on[field] - off[field]));
        // What the kernel has cached by then differs by some 20 MiB from boot to boot.
        requireMore(`MemFree of ${suite}`, -48, -Math.abs(on.MemFree - off.MemFree));
      }
    },
  },
];

/** A root that can be pulled, or booted from a disk. */
interface Site {
  readonly suite: Suite;
  readonly tree: RootTree;
  /** The kernel command line. */
  readonly pull: string;
  /** QEMU's options. */
  readonly disk: readonly string[];
}

/** Serves an image with the systemd of a suite, which is also a disk. */
async function serveRoot(lab: Lab, suite: Suite): Promise<Site> {
  const tree = await makeSystemdRoot(lab.file(`tree-${suite}`), suite, REPORT);
  const image = `${lab.served}/${suite}.raw`;
  const disk = lab.file(`${suite}.raw`);
  await makeDisk(tree, 'ext4', image);
  fs.copyFileSync(image, disk);
  await pack(image, 'zst');
  const server = await lab.serve();
  const url = server.url(`${suite}.raw.zst`);
  return {
    suite,
    tree,
    pull: `rd.systemd.pull=raw,machine,blockdev,verify=no:root:${url} ${ROOT}`,
    disk: ['-drive', `file=${disk},format=raw,if=virtio,snapshot=on`],
  };
}

/** Boots machines of a suite, one at a time, and returns what each says of its memory. */
function boots(lab: Lab, { suite, tree }: Site) {
  return async (
    name: string,
    commandLine: string,
    { agent = 'rdpull', options = [] }: { readonly agent?: Agent; readonly options?: readonly string[] } = {},
  ): Promise<Memory> => {
    const initrd = await lab.initrd(suite, {}, agent);
    await using guest = lab.start({ boot: await lab.direct(suite, initrd, commandLine), options });
    await expectBooted(lab, guest, tree);
    const isOn = agent === 'rdpull' && !commandLine.includes(OFF);
    // A unit that is unknown by now has ended well.
    expectConsole(
      guest,
      new RegExp(`${MARK} unit .*Result=success ActiveState=inactive|${MARK} unit ActiveState=inactive`),
    );
    expectConsole(guest, new RegExp(`${MARK} failed \\.`));
    if (isOn)
      expectConsole(guest, new RegExp(`${MARK} journal .*(?:has given back|nothing left to give back)`));
    const memory = memoryOf(guest.text);
    const [, kernel = ''] = new RegExp(`${MARK} kernel (.*)`).exec(guest.text) ?? [];
    const figures = FIELDS.map((field) => `${field} ${memory[field].toFixed(0)}`).join(', ');
    lab.notes.push(`${kernel.padEnd(28)}${name.padEnd(16)}${figures} MiB`);
    return memory;
  };
}

function memoryOf(text: string): Memory {
  const value = (field: string) => {
    const [, kibibytes] = new RegExp(`${MARK} memory .*${field}: (\\d+) kB`).exec(text) ?? [];
    if (kibibytes === undefined) throw new Error(`the machine does not say its ${field}`);
    return Number(kibibytes) / 1024;
  };
  return { Shmem: value('Shmem'), Unevictable: value('Unevictable'), MemFree: value('MemFree') };
}

/** @throws Error when it is less, in MiB */
function requireMore(what: string, least: number, found: number): void {
  if (found < least) throw new Error(`${what}: ${found.toFixed(1)} MiB, and not ${least}`);
}
