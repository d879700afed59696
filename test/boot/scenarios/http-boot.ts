import { RdpullServe } from '../../fixtures/rdpull-serve.ts';
import { httpBoot, publishUki, serveUki } from '../http-boot.ts';
import { makeDisk, makeTarball, pack } from '../image.ts';
import { expectBooted, expectConsole } from '../lab.ts';
import { addSetuidProgram, MARK, makeRootTree } from '../root-tree.ts';
import type { Scenario } from '../scenario.ts';
import { whereTheTimeGoes } from '../time-split.ts';

/** The firmware boots a UKI over HTTP, and the root lies beside it. Nothing but the expression is on the command line. */
export const scenarios: readonly Scenario[] = [
  {
    name: 'http-boot',
    title: 'UEFI HTTP boot of image.efi; image.raw.xz beside it is the root',
    core: true,
    async run(lab) {
      const tree = await makeRootTree(lab.file('tree'));
      await makeDisk(tree, 'ext4', `${lab.served}/image.raw`);
      await pack(`${lab.served}/image.raw`, 'xz');
      const server = await serveUki(lab, 'rd.systemd.pull=raw,machine,verify=no,bootorigin::');
      const guest = httpBoot(lab, server);
      await expectBooted(lab, guest, tree);
      lab.notes.push(whereTheTimeGoes(guest, server));
      expectConsole(guest, new RegExp(`${MARK} root .* /dev/loop0p1 `));
      expectConsole(guest, new RegExp(`${MARK} loop device .*/bootorigin\\.raw`));
    },
  },
  {
    name: 'http-boot-tar',
    title: 'UEFI HTTP boot; image.tar.zst beside it is the root, and a setuid program in it works as a user',
    async run(lab) {
      const tree = await makeRootTree(
        lab.file('tree'),
        `echo "${MARK} user $(su -s /bin/sh nobody -c setuid-whoami)"`,
      );
      await addSetuidProgram(tree);
      await makeTarball(tree, `${lab.served}/image.tar`);
      await pack(`${lab.served}/image.tar`, 'zst');
      const server = await serveUki(lab, 'rd.systemd.pull=tar,machine,verify=no,bootorigin::');
      const guest = httpBoot(lab, server);
      await expectBooted(lab, guest, tree);
      lab.notes.push(whereTheTimeGoes(guest, server));
      expectConsole(guest, new RegExp(`${MARK} root .* /machines/bootorigin / `));
      expectConsole(guest, new RegExp(`${MARK} user root`));
    },
  },
  {
    name: 'http-boot-rdpull-serve',
    title: 'UEFI HTTP boot from rdpull serve, by the checksums that it makes',
    async run(lab) {
      const tree = await makeRootTree(lab.file('tree'));
      await makeDisk(tree, 'ext4', `${lab.served}/image.raw`);
      await pack(`${lab.served}/image.raw`, 'xz');
      await publishUki(lab, 'rd.systemd.pull=raw,machine,verify=checksum,bootorigin::');
      await using server = await RdpullServe.forBoot(lab.served);
      const guest = httpBoot(lab, { url: (name) => `http://10.0.2.2:${server.port}/${name}` });
      await expectBooted(lab, guest, tree);
      expectConsole(guest, /rdpull: .* verified by http:\/\/10\.0\.2\.2:\d+\/SHA256SUMS/);
      const { stdout, stderr } = await server.stop();
      lab.notes.push(`what rdpull serve said:\n${stdout}${stderr}`);
    },
  },
];
