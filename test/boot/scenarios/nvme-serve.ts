import fs from 'node:fs';
import { makeDisk } from '../image.ts';
import { expectConsole, type Lab } from '../lab.ts';
import { NvmeHost } from '../nvme-host.ts';
import { NvmeTarget } from '../nvme-target.ts';
import { makeRootTree } from '../root-tree.ts';
import type { Scenario } from '../scenario.ts';
import { digestOf } from '../tool.ts';

/** Somebody else's subsystem by somebody else's port, which rdpull would want. */
const FOREIGN_PORT = `port=$nvmet/ports/7; mkdir $port; echo tcp >$port/addr_trtype; echo ipv4 >$port/addr_adrfam; echo 0.0.0.0 >$port/addr_traddr; echo 4420 >$port/addr_trsvcid; for each in $nvmet/subsystems/*; do ln -s $each $port/subsystems/; done; echo "port is $(echo open)"`;

const HOST_A = 'aaaaaaaa';
const HOST_B = 'bbbbbbbb';

/** The directory of the target has one image, in which there is the root of the lab. */
async function imageDirectory(lab: Lab): Promise<{ directory: string; digest: string }> {
  const tree = await makeRootTree(lab.file('tree'));
  const directory = lab.file('images');
  fs.mkdirSync(`${directory}/other`, { recursive: true });
  await makeDisk(tree, 'ext4', `${directory}/image.raw`);
  fs.copyFileSync(`${directory}/image.raw`, `${directory}/other/image.raw`);
  fs.writeFileSync(`${directory}/packed.raw.xz`, 'x');
  return { directory, digest: await digestOf(`${directory}/image.raw`) };
}

/** rdpull serve --nvme, and a host without rdpull. */
export const scenarios: readonly Scenario[] = [
  {
    name: 'nvme-serve',
    title: 'rdpull serve --nvme: read-only, killed and begun again under a host, and all taken back',
    async run(lab) {
      const { directory, digest } = await imageDirectory(lab);
      const target = await NvmeTarget.start(lab, { kind: 'rdpull', directory });
      expectConsole(target.guest, /not packed\.raw\.xz: it is compressed, and packed\.raw is not here/);
      const nqn = target.nqn('image.raw');
      const host = await NvmeHost.start(lab);
      await host.ask(`connect ${target.port} ${nqn} ${HOST_A}`, /connects: 0/);
      await host.ask('sleep 1; sha256sum /dev/nvme0n1', new RegExp(digest));
      const uuid = (await host.ask('cat /sys/block/nvme0n1/uuid', /[0-9a-f-]{36}/))[0];
      // Neither a write nor a discard gets through, whatever the host does.
      await host.ask(
        'dd if=/dev/zero of=/dev/nvme0n1 bs=4096 count=4 conv=fsync 2>&1',
        /dd: .*(?:not permitted|Permission denied|Read-only file system)/,
      );
      await host.ask('cat /sys/block/nvme0n1/ro', /^1$/m);
      await host.ask('blkdiscard /dev/nvme0n1 2>&1; echo "status $?"', /status [^0]/);
      await target.ask('sha256sum /srv/image.raw', new RegExp(digest));
      await host.ask(`connect ${target.port} ${nqn}x ${HOST_B}`, /connects: [^0]/);

      // One that is killed takes everything back, too: the process that it has started for that does. The host waits, and keeps its disk.
      await target.ask('state', /state: nqn.*image\.raw .*loop devices: \/srv\/image\.raw/);
      await target.ask('stop KILL', /ended with 137/);
      await target.guest.waitFor(/what an rdpull has exported over NVMe that was killed is taken back/);
      await target.ask('state', /state: ports: loop devices: \./);
      await target.ask('start', /listens/);
      await host.ask('echo 3 >/proc/sys/vm/drop_caches; sha256sum /dev/nvme0n1', new RegExp(digest));

      // Where that one is killed as well, all goes on, and goes when the next begins.
      await target.ask('killall -9 rdpull; wait; echo "all are dead"', /all are dead/);
      await target.ask('state', /state: nqn.*image\.raw .*loop devices: \/srv\/image\.raw/);
      await host.ask('echo 3 >/proc/sys/vm/drop_caches; sha256sum /dev/nvme0n1', new RegExp(digest));
      await target.ask('start', /listens/);
      await host.ask('echo 3 >/proc/sys/vm/drop_caches; sha256sum /dev/nvme0n1', new RegExp(digest));
      await host.ask('cat /sys/block/nvme0n1/uuid', new RegExp(uuid));

      // A new image waits for the machine that has the old one.
      await target.ask(
        'cp /srv/image.raw /srv/new; echo >>/srv/new; mv /srv/new /srv/image.raw',
        /another file now/,
      );
      await host.ask('echo 3 >/proc/sys/vm/drop_caches; sha256sum /dev/nvme0n1', new RegExp(digest));
      await host.ask('disconnect', /disconnected/);
      await target.guest.waitFor(/image\.raw \(.*\) is exported/);

      await target.ask('stop TERM', /ended with 0/);
      await target.ask('state', /state: ports: loop devices: \./);
    },
  },
  {
    name: 'nvme-serve-rw',
    title:
      'rdpull serve --nvme=rw: what a host writes is in the image, and a second host is refused meanwhile',
    async run(lab) {
      const { directory } = await imageDirectory(lab);
      const target = await NvmeTarget.start(lab, { kind: 'rdpull', directory, serve: ['--nvme=rw'] });
      const nqn = target.nqn('image.raw');
      const host = await NvmeHost.start(lab);
      await host.ask(`connect ${target.port} ${nqn} ${HOST_A}`, /connects: 0/);
      await host.ask(`connect ${target.port} ${nqn} ${HOST_B}`, /connects: [^0]/);
      await host.ask(
        'sleep 1; mount /dev/nvme0n1p1 /srv && echo kept >/srv/etc/kept && umount /srv; echo "status $?"',
        /status 0/,
      );
      await host.ask('disconnect; sleep 2', /disconnected/);
      await host.ask(`connect ${target.port} ${nqn} ${HOST_B}`, /connects: 0/);
      await target.ask('stop TERM', /ended with 0/);
      await target.ask('state', /state: ports: loop devices: \./);
      await target.ask(
        'losetup -o 1048576 /dev/loop7 /srv/image.raw; mkdir /run/i; mount -o ro /dev/loop7 /run/i; cat /run/i/etc/kept',
        /^kept$/m,
      );
    },
  },
  {
    name: 'nvme-serve-foreign',
    title:
      'rdpull serve --nvme beside systemd-storagetm: refused where a port is taken, and nothing of the other is touched',
    async run(lab) {
      const { directory } = await imageDirectory(lab);
      const target = await NvmeTarget.start(lab, { kind: 'storagetm', directory, hasRdpull: true });
      const state = async () => /state: .*\./.exec(await target.ask('state', /state: .*\./))?.[0];
      await target.ask(FOREIGN_PORT, /port is open/);
      const before = await state();
      await target.expectRefused('--nvme', [/the kernel cannot listen on port 4420/, /status 14/]);
      if ((await state()) !== before) throw new Error(`what was there is not: ${before}`);

      await target.ask('rm $port/subsystems/*; rmdir $port; echo "port is $(echo closed)"', /port is closed/);
      const alone = await state();
      await target.ask('rdpull serve --port=0 --nvme /srv & other=$!', /over NVMe\/TCP at port 4420/);
      await target.ask('state', /internal\.rdpull:\w+\.image\.raw/);
      await target.ask('kill $other; wait $other; echo "status $?"', /status 0/);
      if ((await state()) !== alone) throw new Error(`what was there is not: ${alone}`);
    },
  },
];
