import fs from 'node:fs';
import { freePort } from '../../fixtures/daemon.ts';
import { SUITES, type Suite } from '../../fixtures/suite-tree.ts';
import { directBoot } from '../direct-boot.ts';
import type { Guest } from '../guest.ts';
import { httpBoot, publishUki } from '../http-boot.ts';
import { type FileSystem, makeDisk } from '../image.ts';
import { expectBooted, expectConsole, type Lab } from '../lab.ts';
import { NvmeTarget } from '../nvme-target.ts';
import { MARK, makeRootTree, PROOF, type RootTree } from '../root-tree.ts';
import type { Scenario } from '../scenario.ts';
import { digestOf } from '../tool.ts';

/** Says what an earlier boot has written, and writes. */
const WRITES = `
echo "${MARK} kept $(cat /etc/kept 2>&1)"
echo "written in this boot" >/etc/kept && echo "${MARK} written $(cat /etc/kept)"
`;

/** Stays up until the server has gone, reads what is in no cache, and writes. */
const OUTLIVES = `
echo "${MARK} up"
busybox sleep 10
echo 3 >/proc/sys/vm/drop_caches
echo "${MARK} proof again $(sha256sum /${PROOF})"
echo kept >/etc/kept && sync && echo "${MARK} written"
`;

/** How long a server is away, in ms. */
const AWAY = 60_000;

/** Makes a directory for a target, with the disk of the lab in it and another one. */
async function targetDirectory(lab: Lab, tree: RootTree, kind: FileSystem): Promise<string> {
  const directory = lab.file('images');
  fs.mkdirSync(directory);
  await makeDisk(tree, kind, `${directory}/image.raw`);
  await makeDisk(await makeRootTree(lab.file('other')), 'ext4', `${directory}/other.raw`);
  return directory;
}

/** Two boots from one disk, to which the first writes. */
async function bootTwice(lab: Lab, target: NvmeTarget, tree: RootTree): Promise<void> {
  const commandLine = `rd.systemd.pull=raw,machine,verify=no:root:${target.url('image.raw')} rw`;
  for (const kept of ["cat: can't open '/etc/kept'", 'written in this boot']) {
    const guest = await directBoot(lab, { commandLine });
    await expectBooted(lab, guest, tree);
    expectConsole(guest, new RegExp(`${MARK} kept ${kept}`));
    await guest.switchedOff();
  }
}

/** The root is an overlay over what nobody can write to, and was written to. */
async function expectOverlaid(lab: Lab, guest: Guest, tree: RootTree): Promise<void> {
  await expectBooted(lab, guest, tree);
  expectConsole(guest, new RegExp(`${MARK} root .* - overlay rdpull rw`));
  expectConsole(guest, new RegExp(`${MARK} written written in this boot`));
}

/** What rdpull serve exports on the kernel of a suite is a root that is written to. */
function servesRoot(suite: Suite): Scenario {
  const isNewest = suite === 'forky';
  return {
    name: `nvme-serve-boot-rw${isNewest ? '' : `-${suite}`}`,
    title: `rdpull serve --nvme=rw${isNewest ? '' : ` on ${suite}'s kernel`} has the root: what the first boot has written is there in the second`,
    async run(lab) {
      const tree = await makeRootTree(lab.file('tree'), WRITES);
      const directory = await targetDirectory(lab, tree, 'ext4');
      const serve = ['--nvme=rw'];
      const target = await NvmeTarget.start(lab, { kind: 'rdpull', suite, directory, serve });
      const [release] = /^\d+\.\S+/m.exec(await target.ask('uname -r', /^\d+\.\S+/m)) ?? [];
      lab.notes.push(`the target runs Linux ${release}`);
      await bootTwice(lab, target, tree);
    },
  };
}

/** A root that stays on a real server, which is reached by a forwarded port. */
export const scenarios: readonly Scenario[] = [
  {
    name: 'nvme-storagetm',
    title: 'systemd-storagetm of 262 has the root: what the first boot has written is there in the second',
    async run(lab) {
      const tree = await makeRootTree(lab.file('tree'), WRITES);
      // Of a file it makes a disk with sectors of 4096 bytes; the table of the image is for 512.
      const directory = await targetDirectory(lab, tree, 'ext4-4096');
      await bootTwice(lab, await NvmeTarget.start(lab, { kind: 'storagetm', directory }), tree);
    },
  },
  ...SUITES.filter((suite) => suite !== 'bookworm').map((suite) => servesRoot(suite)),
  {
    name: 'nvme-serve-boot-bookworm',
    title:
      "rdpull serve --nvme on bookworm's kernel, which keeps no second machine from a disk: rw is refused, and read-only it has the root, with overlay=tmpfs",
    async run(lab) {
      const tree = await makeRootTree(lab.file('tree'), WRITES);
      const directory = await targetDirectory(lab, tree, 'ext4');
      const target = await NvmeTarget.start(lab, { kind: 'rdpull', suite: 'bookworm', directory });
      await target.ask('stop TERM', /ended with 0/);
      await target.expectRefused('--nvme=rw', [
        /Linux 6\.1\.\S+ cannot keep a second machine from a disk/,
        /overlay=/,
        /status 15/,
      ]);
      await target.ask('state', /state: ports: loop devices: \./);
      await target.ask('start', /listens/);
      const expression = `raw,machine,ro,overlay=tmpfs,verify=no:root:${target.url('image.raw')}`;
      const guest = await directBoot(lab, { commandLine: `rd.systemd.pull=${expression} rw` });
      await expectOverlaid(lab, guest, tree);
      await target.ask('sha256sum /srv/image.raw', new RegExp(await digestOf(`${directory}/image.raw`)));
    },
  },
  {
    name: 'nvme-serve-boot-origin',
    title:
      'UEFI HTTP boot from rdpull serve --nvme, which is asked what it has: an erofs that nobody can write to, with overlay=tmpfs',
    async run(lab) {
      const tree = await makeRootTree(lab.file('tree'), WRITES);
      const directory = await targetDirectory(lab, tree, 'erofs');
      const port = await freePort();
      await publishUki(
        lab,
        `rd.systemd.pull=raw,machine,ro,overlay=tmpfs,verify=no,bootorigin:root:nvme+tcp://:${port} rw`,
      );
      fs.renameSync(`${lab.served}/image.efi`, `${directory}/image.efi`);
      const target = await NvmeTarget.start(lab, { kind: 'rdpull', directory, port });
      const guest = httpBoot(lab, { url: (name) => target.httpUrl(name) });
      await expectOverlaid(lab, guest, tree);
    },
  },
  {
    name: 'nvme-serve-away',
    title:
      'rdpull serve --nvme=rw is ended under a running machine for 60 s and begun again: the machine waits, and goes on',
    async run(lab) {
      const tree = await makeRootTree(lab.file('tree'), OUTLIVES);
      const directory = await targetDirectory(lab, tree, 'ext4');
      const target = await NvmeTarget.start(lab, { kind: 'rdpull', directory, serve: ['--nvme=rw'] });
      const commandLine = `rd.systemd.pull=raw,machine,verify=no:root:${target.url('image.raw')} rw`;
      const guest = await directBoot(lab, { commandLine });
      await guest.waitFor(new RegExp(`${MARK} up`));
      await target.ask('stop TERM', /ended with 0/);
      await Bun.sleep(AWAY);
      await target.ask('start', /listens/);
      await expectBooted(lab, guest, tree);
      expectConsole(guest, new RegExp(`${MARK} proof again ${tree.sha256} `));
      expectConsole(guest, new RegExp(`${MARK} written\\n`));
      await guest.switchedOff();
    },
  },
];
