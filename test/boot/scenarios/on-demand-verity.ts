import fs from 'node:fs';
import path from 'node:path';
import { GpgHome } from '../../fixtures/gpg.ts';
import { directBoot } from '../direct-boot.ts';
import type { Guest } from '../guest.ts';
import { expectBooted, expectConsole, type Lab } from '../lab.ts';
import { MARK, makeRootTree, type RootTree, writeBallast } from '../root-tree.ts';
import type { Scenario } from '../scenario.ts';
import { type NoteSent, notesOf } from '../sent-share.ts';
import { flipBit, INSIST, makeSignatory, makeVerityDisk, POLICY, trusting } from '../verity-image.ts';
import { UNTIL_COMPLETE } from './on-demand.ts';

/** MiB */
const BALLAST = 40;
/** Bytes a second of each answer. */
const RATE = 700 * 1024;

/** What one bit is flipped in. */
const SENTENCE = 'what nobody reads in order to boot';

const READS = `
for file in /sys/block/dm-*/dm/uuid; do echo "${MARK} mapped $file $(cat "$file")"; done
echo "${MARK} reads: $(cat /sentence 2>&1 | busybox head -c 100)"
${UNTIL_COMPLETE}`;

/** verify=signature, of an image that is in use before its digest can be known: dm-verity vouches for what is read. */
export const scenarios: readonly Scenario[] = [
  {
    name: 'on-demand-verity',
    title: 'verify=signature: an image that the kernel checks block by block is mounted before it is there',
    async run(lab) {
      const { tree, guest, note } = await boot(lab);
      await guest.waitFor(new RegExp(`${MARK} booted`));
      const booted = note('booted');
      await guest.waitFor(new RegExp(`${MARK} complete`));
      note('complete, and handed over');
      await expectBooted(lab, guest, tree);
      expectConsole(guest, /rdpull-lab: root .* - erofs \/dev\/mapper\/root /);
      expectConsole(guest, /rdpull-lab: mapped .* CRYPT-VERITY-[0-9a-f]+-root/);
      expectConsole(guest, new RegExp(`${MARK} reads: ${SENTENCE}`));
      expectConsole(guest, new RegExp(`${MARK} now root\\S* /run/machines/root`));
      expectConsole(guest, new RegExp(`${MARK} agents: none`));
      expectConsole(guest, new RegExp(`${MARK} proof again ${tree.sha256} `));
      if (booted.share > 0.5) throw new Error('much of the image was there already');
    },
  },
  {
    name: 'on-demand-verity-bit-flip',
    title:
      'the same with one bit flipped on the server: reading it fails, and in the end the digest of the whole',
    async run(lab) {
      const { guest, note } = await boot(lab, (image) => flipBit(image, SENTENCE));
      // The whole line: what it ends with is looked at.
      await guest.waitFor(new RegExp(`${MARK} reads: .*\\n`));
      note('the flipped bit is read');
      lab.report(guest);
      expectConsole(guest, /device-mapper: verity: .*data block \d+ is corrupted/);
      expectConsole(guest, new RegExp(`${MARK} reads: cat: .*(?:I/O|Input/output) error`));
      await guest.waitFor(/rdpull: error: .* is not what was promised.*SHA-256/);
      note('all of it is there, and refused');
    },
  },
];

/** @param spoil what happens to the image after it was signed */
async function boot(
  lab: Lab,
  spoil?: (image: string) => void,
): Promise<{ tree: RootTree; guest: Guest; note: NoteSent }> {
  const tree = await makeRootTree(lab.file('tree'), READS);
  fs.writeFileSync(path.join(tree.directory, 'sentence'), `${SENTENCE}\n`.repeat(1000));
  writeBallast(tree.directory, BALLAST);
  const builder = await makeSignatory(lab.directory, 'builder');
  const image = lab.file('root.raw');
  await makeVerityDisk(tree, builder, image);
  using gpg = new GpgHome();
  const key = gpg.generateKey('Builder <builder@example.com>');
  const content = fs.readFileSync(image);
  const sums = `${new Bun.CryptoHasher('sha256').update(content).digest('hex')}  root.raw\n`;
  fs.writeFileSync(`${lab.served}/SHA256SUMS`, sums);
  fs.writeFileSync(`${lab.served}/SHA256SUMS.gpg`, gpg.sign(sums, { by: key, armor: false }));
  spoil?.(image);
  lab.publish(image);
  const server = await lab.serve({ rates: { 'root.raw': RATE } });
  const expression = `raw,machine,blockdev,on-demand=require:rootdisk:${server.url('root.raw')}`;
  const guest = await directBoot(lab, {
    files: {
      ...(await trusting(builder)),
      'etc/systemd/import-pubring.pgp': { content: gpg.exportKeys([key]) },
    },
    commandLine: `rd.systemd.pull=${expression} root=dissect ${POLICY} ${INSIST}`,
  });
  const note = notesOf(lab, guest, server, { served: 'root.raw', size: content.length });
  await guest.waitFor(/Mounted.*(?:sysroot\.mount|\/sysroot)/);
  note('root mounted');
  return { tree, guest, note };
}
