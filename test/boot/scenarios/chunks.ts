import fs from 'node:fs';
import path from 'node:path';
import { GpgHome } from '../../fixtures/gpg.ts';
import { directBoot } from '../direct-boot.ts';
import { makeDisk } from '../image.ts';
import { expectBooted, expectConsole, type Lab } from '../lab.ts';
import { MARK, makeRootTree, type RootTree, writeBallast } from '../root-tree.ts';
import type { Scenario } from '../scenario.ts';
import { tool } from '../tool.ts';
import { UNTIL_COMPLETE } from './on-demand.ts';

/** MiB of the image that nobody can pack. */
const BALLAST_SIZE = 24;

/** A root in chunks of casync, vouched for by a signature over the index. */
export const scenarios: readonly Scenario[] = [
  {
    name: 'caibx-boot',
    title: 'an image in chunks (casync make), whose index a key in the initrd has signed',
    async run(lab) {
      const { tree, chunks, guest, server } = await boot(lab, 'raw,machine');
      await expectBooted(lab, guest, tree);
      expectConsole(guest, /rdpull: .* in chunks received, .* written in .*, signed by Builder/);
      const asked = server.requests.filter(({ name }) => name.endsWith('.cacnk')).map(({ name }) => name);
      if (new Set(asked).size !== asked.length) throw new Error('a chunk was fetched twice');
      lab.notes.push(`${asked.length} of ${chunks} chunks were asked for`);
    },
  },
  {
    name: 'caibx-on-demand',
    title: 'the same, mounted before it is there: the signature holds without dm-verity',
    async run(lab) {
      const { tree, ballast, chunks, guest, server } = await boot(
        lab,
        'raw,machine,on-demand,fill=1M',
        UNTIL_COMPLETE,
      );
      await guest.waitFor(/Mounted.*(?:sysroot\.mount|\/sysroot)/);
      const mounted = server.requests.length;
      lab.notes.push(`${mounted} requests until the root was mounted, of ${chunks} chunks`);
      await guest.waitFor(new RegExp(`${MARK} complete`));
      await expectBooted(lab, guest, tree);
      expectConsole(guest, new RegExp(`${MARK} at first .*\\.#rdpull-root\\.raw`));
      expectConsole(guest, new RegExp(`${MARK} now root\\.raw /run/machines/root\\.raw`));
      expectConsole(guest, new RegExp(`${MARK} ballast ${ballast} `));
      if (mounted > chunks / 2) throw new Error('much of the image was there before the root was mounted');
    },
  },
];

/** Boots a machine from an index that is signed. @param script runs in the root */
async function boot(lab: Lab, options: string, script = '') {
  const tree: RootTree = await makeRootTree(lab.file('tree'), script);
  const ballast = writeBallast(tree.directory, BALLAST_SIZE);
  const image = lab.file('root.raw');
  await makeDisk(tree, 'ext4', image);
  const index = path.join(lab.served, 'root.raw.caibx');
  const store = lab.file('default.castr');
  await tool(['casync', 'make', `--store=${store}`, index, image]);
  // The server of the lab finds a file by its name alone.
  const chunks = fs.globSync('????/*.cacnk', { cwd: store });
  for (const chunk of chunks)
    fs.copyFileSync(path.join(store, chunk), path.join(lab.served, path.basename(chunk)));
  const sums = `${new Bun.CryptoHasher('sha256').update(fs.readFileSync(index)).digest('hex')}  root.raw.caibx\n`;
  using gpg = new GpgHome();
  const key = gpg.generateKey('Builder <builder@example.com>');
  fs.writeFileSync(path.join(lab.served, 'SHA256SUMS'), sums);
  fs.writeFileSync(path.join(lab.served, 'SHA256SUMS.gpg'), gpg.sign(sums, { by: key, armor: false }));
  const server = await lab.serve();
  const guest = await directBoot(lab, {
    files: { 'etc/systemd/import-pubring.pgp': { content: gpg.exportKeys([key]) } },
    commandLine: `rd.systemd.pull=${options}:root:${server.url('root.raw.caibx')} ro`,
  });
  return { tree, ballast, chunks: chunks.length, server, guest };
}
