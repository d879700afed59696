import fs from 'node:fs';
import { directBoot } from '../direct-boot.ts';
import { DnsServer } from '../dns-server.ts';
import { makeDisk, makeFileSystem, pack } from '../image.ts';
import { ImageServer } from '../image-server.ts';
import { expectBooted, expectConsole } from '../lab.ts';
import { makeRootTree } from '../root-tree.ts';
import type { Scenario } from '../scenario.ts';

/** ms */
const MINUTE = 60_000;

/** What a network does to a machine that has just been switched on. */
export const scenarios: readonly Scenario[] = [
  {
    name: 'late-server',
    title: 'the server comes up a minute after the machine',
    async run(lab) {
      const tree = await makeRootTree(lab.file('tree'));
      await makeDisk(tree, 'ext4', `${lab.served}/root.raw`);
      await pack(`${lab.served}/root.raw`, 'xz');
      const port = await unusedPort(lab.served);
      const guest = await directBoot(lab, {
        commandLine: `rd.systemd.pull=raw,machine,verify=no:root:http://10.0.2.2:${port}/root.raw.xz`,
      });
      await guest.waitFor(/rdpull: .*: the connection was refused; trying again/);
      await Bun.sleep(Math.max(MINUTE - guest.seconds() * 1000, 5000));
      lab.notes.push(`the server comes up ${guest.seconds().toFixed(0)} s after the machine`);
      await lab.serve({ port });
      await expectBooted(lab, guest, tree);
    },
  },
  {
    name: 'dropped-connection',
    title: 'the server drops the connection halfway, twice: the rest is fetched, and not all of it again',
    async run(lab) {
      const tree = await makeRootTree(lab.file('tree'));
      fs.writeFileSync(`${tree.directory}/noise`, crypto.getRandomValues(Buffer.alloc(16 * 1024 * 1024)));
      await makeFileSystem(tree, 'squashfs', `${lab.served}/root.raw`);
      const { size } = fs.statSync(`${lab.served}/root.raw`);
      const server = await lab.serve({ faults: { 'root.raw': { drop: { part: 0.5, times: 2 } } } });
      const guest = await directBoot(lab, {
        commandLine: `rd.systemd.pull=raw,machine,verify=no:root:${server.url('root.raw')}`,
      });
      await expectBooted(lab, guest, tree);
      const requests = server.requests.filter(({ method }) => method === 'GET');
      const ranges = requests.map(({ range }) => range ?? 'all').join(', ');
      const sent = requests.reduce((bytes, request) => bytes + request.bytes, 0);
      lab.notes.push(`${size} bytes, asked for: ${ranges}; ${sent} bytes sent`);
      if (requests.length < 3) throw new Error(`only ${requests.length} requests: ${ranges}`);
      if (sent > 1.5 * size) throw new Error(`${sent} bytes were sent of a file of ${size}`);
    },
  },
  {
    name: 'late-dns',
    title: 'the name server fails at first',
    async run(lab) {
      const tree = await makeRootTree(lab.file('tree'));
      await makeDisk(tree, 'ext4', `${lab.served}/root.raw`);
      await pack(`${lab.served}/root.raw`, 'xz');
      const server = await lab.serve();
      await using dns = await DnsServer.start(15_000);
      const network = '[Match]\nType=ether\n[Network]\nDHCP=ipv4\nDNS=10.0.2.2\n[DHCPv4]\nUseDNS=no\n';
      const guest = await directBoot(lab, {
        files: { 'etc/systemd/network/10-lab.network': { content: network } },
        commandLine: `rd.systemd.pull=raw,machine,verify=no:root:http://images.example.com:${server.port}/root.raw.xz`,
      });
      await expectBooted(lab, guest, tree);
      expectConsole(guest, /rdpull: .*trying again/);
      lab.notes.push(`the name server failed ${dns.failed} times, and answered ${dns.answered} times`);
      if (dns.failed === 0) throw new Error('nobody asked the name server while it failed');
    },
  },
];

/** A port on which nobody listens. */
async function unusedPort(directory: string): Promise<number> {
  await using server = await ImageServer.start(directory);
  return server.port;
}
