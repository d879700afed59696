import fs from 'node:fs';
import { directBoot } from '../direct-boot.ts';
import { makeDisk, pack } from '../image.ts';
import { expectBooted, expectConsole } from '../lab.ts';
import { makeRootTree } from '../root-tree.ts';
import type { Scenario } from '../scenario.ts';

const MIB = 1024 * 1024;

/** /run is a file system of a fifth of the RAM. */
export const scenarios: readonly Scenario[] = [
  {
    name: 'little-memory',
    title: 'an image that a fifth of the RAM does not hold, but the RAM does',
    async run(lab) {
      const memory = 1280;
      const tree = await makeRootTree(lab.file('tree'));
      // Half of it noise, so that it takes room; the same noise, so that it does not have to be downloaded.
      const noise = crypto.getRandomValues(Buffer.alloc(MIB));
      for (let written = 0; written < 320; written++) fs.appendFileSync(`${tree.directory}/noise`, noise);
      await makeDisk(tree, 'ext4', `${lab.served}/root.raw`);
      await pack(`${lab.served}/root.raw`, 'zst');
      const server = await lab.serve();
      const guest = await directBoot(lab, {
        memory,
        commandLine: `rd.systemd.pull=raw,machine,verify=no:root:${server.url('root.raw.zst')}`,
      });
      await expectBooted(lab, guest, tree);
    },
  },
  {
    name: 'too-little-memory',
    title: 'an image that is larger than the RAM is refused before it is downloaded, with the figures',
    async run(lab) {
      // A GiB that shrinks a hundred times: what shrinks more could be holes.
      const part = Buffer.alloc(8 * MIB, 'rdpull');
      crypto.getRandomValues(part.subarray(0, 65536));
      for (let written = 0; written < 128; written++) fs.appendFileSync(`${lab.served}/root.raw`, part);
      const packed = await pack(`${lab.served}/root.raw`, 'xz');
      const server = await lab.serve();
      const guest = await directBoot(lab, {
        memory: 1280,
        commandLine: `rd.systemd.pull=raw,machine,verify=no:root:${server.url('root.raw.xz')}`,
      });
      await guest.waitFor(/Entering emergency mode/, /rdpull-lab: booted|Kernel panic/);
      lab.report(guest);
      expectConsole(guest, /rdpull: error: .*the image is 1\.0+ GiB after decompression.* RAM for /);
      const { size } = fs.statSync(packed);
      const sent = server.requests.reduce((bytes, request) => bytes + request.bytes, 0);
      lab.notes.push(`${sent} of ${size} bytes were sent, for the size`);
      expectConsole(guest, /^(?![\s\S]*rdpull: pulling )/);
    },
  },
];
