import fs from 'node:fs';
import path from 'node:path';
import type { Suite } from '../../fixtures/suite-tree.ts';
import { directBoot } from '../direct-boot.ts';
import type { Guest } from '../guest.ts';
import { httpBoot, serveUki } from '../http-boot.ts';
import { dirtyJournal, type FileSystem, makeDisk, makeFileSystem } from '../image.ts';
import type { ImageServer } from '../image-server.ts';
import { expectBooted, expectConsole, type Lab } from '../lab.ts';
import { BALLAST, MARK, makeRootTree, PROOF, type RootTree, writeBallast } from '../root-tree.ts';
import type { Scenario } from '../scenario.ts';
import { CHECKOUT } from '../scratch.ts';
import { type NoteSent, notesOf } from '../sent-share.ts';
import { tool } from '../tool.ts';

/** MiB of the image; most of it is read by nobody before it is complete. */
const BALLAST_SIZE = 40;

/** How fast an answer is sent, in bytes a second: the whole takes longer than the boot. */
const RATE = 700 * 1024;

type Packing = 'raw' | 'xz' | 'zst';

interface Variant {
  readonly name: string;
  readonly title: string;
  readonly suite?: Suite;
  readonly image: {
    readonly in: 'disk' | 'bare';
    readonly fileSystem: FileSystem;
    /** An ext4 that was not unmounted. */
    readonly isDirty?: true;
  };
  readonly packing: Packing;
  /** What is on the command line besides the expression; nothing by default. */
  readonly root?: string;
  /** More options of the expression. */
  readonly options?: string;
  readonly isHttpBoot?: true;
  /** What the console has to say besides. */
  readonly said?: RegExp;
}

const VARIANTS: readonly Variant[] = [
  {
    name: 'on-demand-http-boot',
    title: 'UEFI HTTP boot of a bare squashfs that is mounted before it is there',
    image: { in: 'bare', fileSystem: 'squashfs' },
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
    title: 'systemd 257: erofs in a GPT, in frames of zstd, found by root=',
    suite: 'trixie',
    image: { in: 'disk', fileSystem: 'erofs' },
    packing: 'zst',
    root: 'root=/dev/disk/by-loop-ref/root.raw-part1',
  },
  {
    name: 'on-demand-252',
    title: 'systemd 252: squashfs in a GPT',
    suite: 'bookworm',
    image: { in: 'disk', fileSystem: 'squashfs' },
    packing: 'raw',
  },
  {
    name: 'on-demand-bare-ext4',
    title: 'an ext4 without a partition table',
    image: { in: 'bare', fileSystem: 'ext4' },
    packing: 'raw',
  },
  {
    name: 'on-demand-bare-erofs',
    title: 'an erofs without a partition table',
    image: { in: 'bare', fileSystem: 'erofs' },
    packing: 'raw',
  },
  {
    name: 'on-demand-overlay',
    title: 'an ext4 below an overlay in memory is handed over as well',
    image: { in: 'disk', fileSystem: 'ext4' },
    packing: 'raw',
    options: ',overlay=tmpfs',
    said: /root .* \/ .* - overlay rdpull rw/,
  },
  {
    name: 'on-demand-dirty-journal',
    title: 'an ext4 that was not unmounted is mounted without a look at its journal, and the console says so',
    image: { in: 'disk', fileSystem: 'ext4', isDirty: true },
    packing: 'raw',
    said: /rdpull: .*\/dev\/loop0p1 holds an ext4 that was not unmounted: .* with -o ro,noload[\s\S]* root .* - ext4 \/dev\/loop0p1 \S*norecovery/,
  },
];

const SERVER_AWAY: Variant = {
  name: 'on-demand-server-away',
  title: 'the server goes away for a minute while the machine reads: it waits, and goes on',
  image: { in: 'disk', fileSystem: 'squashfs' },
  packing: 'raw',
};

/** ms */
const AWAY = 60_000;

/** What may stay in files in memory besides the image, in kB: what systemd has in /run. */
const LEFT = 16 * 1024;

/** A root that is mounted before it is there, and becomes a file like any other while the machine runs on it. */
export const scenarios: readonly Scenario[] = [
  ...VARIANTS.map(
    (variant): Scenario => ({
      name: variant.name,
      title: variant.title,
      async run(lab) {
        const { guest, note, ...booting } = await boot(lab, variant, UNTIL_COMPLETE);
        const mounted = note('root mounted');
        await guest.waitFor(new RegExp(`${MARK} booted`));
        const booted = note('booted');
        if (mounted.share > 0.2 || booted.share > 0.5)
          throw new Error('the root was mounted when much of the image was there already');
        await expectComplete(lab, { guest, note, ...booting });
        if (variant.said !== undefined) expectConsole(guest, variant.said);
      },
    }),
  ),
  {
    name: SERVER_AWAY.name,
    title: SERVER_AWAY.title,
    async run(lab) {
      const booting = await boot(lab, SERVER_AWAY, UNTIL_READ);
      const { guest, note, server, ballast } = booting;
      note('root mounted');
      await guest.waitFor(new RegExp(`${MARK} reads`));
      await Bun.sleep(3000);
      const before = note('the server goes away');
      await server.away(AWAY);
      const after = note('the server is back');
      await guest.waitFor(new RegExp(`${MARK} ballast at first ${ballast} `));
      note('all is read');
      expectConsole(guest, /rdpull: .*10\.0\.2\.2.*reads wait; trying again/);
      const warnings = guest.lines.filter(({ text }) => /INFO: task .* blocked for more than/.test(text));
      for (const { seconds, text } of warnings) lab.notes.push(`${seconds.toFixed(1)} s: ${text}`);
      if (after.share > 0.9 || after.bytes !== before.bytes)
        throw new Error('nobody had to wait for the server');
      await expectComplete(lab, booting);
    },
  },
];

interface Booting {
  readonly tree: RootTree;
  /** The SHA-256 of what fills the image. */
  readonly ballast: string;
  readonly server: ImageServer;
  readonly guest: Guest;
  readonly note: NoteSent;
}

/** Boots a machine until its root is mounted. @param script runs in the root */
async function boot(lab: Lab, variant: Variant, script: string): Promise<Booting> {
  const tree = await makeRootTree(lab.file('tree'), script);
  const ballast = writeBallast(tree.directory, BALLAST_SIZE);
  const file = await makeImage(lab, tree, variant);
  const served = path.basename(file);
  const { size } = fs.statSync(file);
  const { root = '', options = '', suite, isHttpBoot } = variant;
  const rates = { [served]: RATE };
  let server: ImageServer;
  let guest: Guest;
  if (isHttpBoot === true) {
    const commandLine = `rd.systemd.pull=raw,machine,on-demand,verify=no,bootorigin${options}:root: ${root}`;
    server = await serveUki(lab, commandLine, { server: { rates } });
    guest = httpBoot(lab, server);
  } else {
    server = await lab.serve({ rates });
    guest = await directBoot(lab, {
      commandLine: `rd.systemd.pull=raw,machine,on-demand,verify=no${options}:root:${server.url(served)} ${root}`,
      ...(suite !== undefined && { suite }),
    });
  }
  const note = notesOf(lab, guest, server, { served, size });
  await guest.waitFor(/Mounted.*(?:sysroot\.mount|\/sysroot)/);
  return { tree, ballast, server, guest, note };
}

/** Waits until the image is complete, and handed over, and looks whether all of it is right. */
async function expectComplete(lab: Lab, { tree, ballast, guest, note }: Booting): Promise<void> {
  await guest.waitFor(new RegExp(`${MARK} complete`));
  note('complete, and handed over');
  await expectBooted(lab, guest, tree);
  expectConsole(guest, new RegExp(`${MARK} at first .*\\.#rdpull-root\\.raw`));
  expectConsole(guest, new RegExp(`${MARK} now root\\.raw /run/machines/root\\.raw`));
  expectConsole(guest, new RegExp(`${MARK} agents: none`));
  expectConsole(guest, new RegExp(`${MARK} proof again ${tree.sha256} `));
  expectConsole(guest, new RegExp(`${MARK} ballast ${ballast} `));
  // Nothing of the initramfs, and nothing of rdpull.
  const [, shmem] = /Shmem: +(\d+) kB/.exec(guest.text) ?? [];
  const [, kept] = /in \/run\/machines: (\d+) kB/.exec(guest.text) ?? [];
  const besides = Number(shmem) - Number(kept);
  lab.notes.push(`memory that is left in files: ${shmem} kB, the image ${kept} kB of it`);
  if (!(besides < LEFT)) throw new Error(`${besides} kB are left in memory besides the image`);
  if (note('at the end').share > 1.1) throw new Error('much of the image was fetched twice');
}

/** Waits in the real root until the image is complete and the agent gone. */
export const UNTIL_COMPLETE = `
echo "${MARK} at first" $(ls -a /run/machines)
for each in $(busybox seq 1200); do
  [ -z "$(ls /run/machines)" ] || break
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
echo "${MARK} ballast $(sha256sum /${BALLAST})"
grep -E 'MemAvailable|Shmem:' /proc/meminfo
echo "${MARK} in /run/machines: $(busybox du -sk /run/machines | busybox cut -f1) kB"
`;

/** Reads all of the image, while the server is away; a kernel tells early of a task that has to wait. */
const UNTIL_READ = `
echo 30 > /proc/sys/kernel/hung_task_timeout_secs
echo "${MARK} reads"
echo "${MARK} ballast at first $(sha256sum /${BALLAST})"
${UNTIL_COMPLETE}`;

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
  if (image.isDirty === true) await dirtyJournal(file, PROOF, image.in);
  if (packing === 'raw') return file;
  if (packing === 'xz') await tool(['xz', '-T0', '-1', '--block-size=1MiB', file]);
  else await tool([path.join(CHECKOUT, 'scripts/seekable-zstd'), '--level=3', file]);
  if (packing === 'zst') fs.rmSync(file);
  return `${file}.${packing}`;
}
