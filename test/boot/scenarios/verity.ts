import { directBoot } from '../direct-boot.ts';
import { BootFailure, type Guest } from '../guest.ts';
import { pack } from '../image.ts';
import { expectBooted, expectConsole, type Lab } from '../lab.ts';
import { makeRootTree, type RootTree } from '../root-tree.ts';
import type { Scenario } from '../scenario.ts';
import { flipBit, INSIST, makeSignatory, makeVerityDisk, POLICY, trusting } from '../verity-image.ts';

/** In the init of the root, where a flipped bit changes nothing if it gets through. */
const COMMENT = '# a comment in the init of the lab';

const MORE = `
${COMMENT}
for file in /sys/block/dm-*/dm/uuid; do echo "rdpull-lab: mapped $file $(cat "$file")"; done`;

/** Images that rdpull does not verify, and systemd does. */
export const scenarios: readonly Scenario[] = [
  {
    name: 'verity',
    title:
      'verify=no: systemd.image_policy=root=signed takes a signed image, and its root is a dm-verity device',
    async run(lab) {
      const { tree, guest } = await boot(lab, { commandLine: `root=dissect ${POLICY} ${INSIST}` });
      await expectBooted(lab, guest, tree);
      expectConsole(guest, /rdpull-lab: root .* - erofs \/dev\/mapper\/root /);
      expectConsole(guest, /rdpull-lab: mapped .* CRYPT-VERITY-[0-9a-f]+-root/);
    },
  },
  {
    name: 'verity-bit-flip',
    title: 'verify=no: a signed image with one bit flipped does not boot',
    async run(lab) {
      const { guest } = await boot(lab, {
        commandLine: `root=dissect ${POLICY} ${INSIST}`,
        spoil: (image) => flipBit(image, COMMENT),
      });
      await expectRefused(lab, guest);
      expectConsole(guest, /device-mapper: verity: .*data block \d+ is corrupted/);
    },
  },
  {
    name: 'verity-stranger',
    title:
      'verify=no: an image that somebody else has signed does not boot when the kernel insists on signatures',
    async run(lab) {
      const { guest } = await boot(lab, {
        signedBy: 'stranger',
        commandLine: `root=dissect ${POLICY} ${INSIST}`,
      });
      await expectRefused(lab, guest);
      expectConsole(guest, /verity: Root hash verification failed/);
      expectConsole(guest, /Failed to start systemd-veritysetu/);
    },
  },
  {
    name: 'verity-without-root',
    title: 'verify=no: with an image policy and no root=, rdpull mounts nothing itself, and says what to do',
    async run(lab) {
      const { guest } = await boot(lab, { commandLine: POLICY });
      await expectRefused(lab, guest);
      expectConsole(guest, /systemd alone obeys "systemd\.image_policy=root=signed".*root=dissect/);
      if (/Mounted sysroot\.mount/.test(guest.text))
        throw new BootFailure('something was mounted on /sysroot');
    },
  },
];

interface Trial {
  readonly commandLine: string;
  /** The initrd trusts the builder. */
  readonly signedBy?: 'builder' | 'stranger';
  spoil?(image: string): void;
}

async function boot(
  lab: Lab,
  { commandLine, signedBy = 'builder', spoil }: Trial,
): Promise<{ tree: RootTree; guest: Guest }> {
  const tree = await makeRootTree(lab.file('tree'), MORE);
  const builder = await makeSignatory(lab.directory, 'builder');
  const signatory = signedBy === 'builder' ? builder : await makeSignatory(lab.directory, signedBy);
  const image = lab.file('image.raw');
  await makeVerityDisk(tree, signatory, image);
  spoil?.(image);
  lab.publish(await pack(image, 'xz'));
  const server = await lab.serve();
  const expression = `raw,machine,blockdev,verify=no:rootdisk:${server.url('image.raw.xz')}`;
  const guest = await directBoot(lab, {
    files: await trusting(builder),
    // So that nobody has to know a password in the emergency shell.
    commandLine: `rd.systemd.pull=${expression} ${commandLine} SYSTEMD_SULOGIN_FORCE=1`,
    limit: 600,
  });
  return { tree, guest };
}

async function expectRefused(lab: Lab, guest: Guest): Promise<void> {
  await guest.waitFor(
    /Entering emergency mode|You are in emergency mode|Kernel panic|Switch root target contains no usable init/,
    /rdpull-lab: booted|Oops: int3|Failed to start rdpull@/,
  );
  lab.report(guest);
}
