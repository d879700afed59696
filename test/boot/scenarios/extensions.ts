import fs from 'node:fs';
import path from 'node:path';
import { noiseOf } from '../../fixtures/noise.ts';
import { directBoot } from '../direct-boot.ts';
import { expectBooted, expectConsole, type Lab } from '../lab.ts';
import { MARK, PROOF, REPORT, type RootTree, writeProof } from '../root-tree.ts';
import type { Scenario } from '../scenario.ts';
import { tool } from '../tool.ts';
import { inToolbox } from '../toolbox.ts';

/** A whole Debian takes its time: seconds. */
const LIMIT = 900;

/** What initrd and host pull besides the root, in a Debian with systemd. */
export const scenarios: readonly Scenario[] = [
  {
    name: 'extensions',
    title:
      'sysext and confext that the initrd has pulled are merged in the booted system, which pulls an image itself',
    async run(lab) {
      await makeExtension(lab, 'lab-sysext', 'usr');
      await makeExtension(lab, 'lab-confext', 'etc');
      fs.writeFileSync(path.join(lab.served, 'guest.raw'), noiseOf(65536));
      const tree = await makeDebian(lab);
      const server = await lab.serve();
      const pull = (what: string, local: string) =>
        `rd.systemd.pull=raw,${what},verify=no:${local}:${server.url(`${local}.raw`)}`;
      const guest = await directBoot(lab, {
        memory: 3072,
        limit: LIMIT,
        commandLine: [
          pull('machine', 'host'),
          pull('sysext', 'lab-sysext'),
          pull('confext', 'lab-confext'),
          `systemd.pull=raw,machine,verify=no:guest:${server.url('guest.raw')}`,
        ].join(' '),
      });
      await expectBooted(lab, guest, tree);
      expectConsole(guest, new RegExp(`${MARK} sysext lab-sysext is merged`));
      expectConsole(guest, new RegExp(`${MARK} confext lab-confext is merged`));
      const { stdout } = Bun.spawnSync(['sha256sum', path.join(lab.served, 'guest.raw')]);
      expectConsole(
        guest,
        new RegExp(`${MARK} guest ${stdout.toString().slice(0, 64)} .*/var/lib/machines/guest\\.raw`),
      );
    },
  },
];

/** A file system image with one file below /usr or /etc that says its name. */
async function makeExtension(lab: Lab, name: string, below: 'usr' | 'etc'): Promise<void> {
  const tree = lab.file(name);
  const release = below === 'usr' ? 'usr/lib/extension-release.d' : 'etc/extension-release.d';
  fs.mkdirSync(path.join(tree, release), { recursive: true });
  fs.mkdirSync(path.join(tree, below, 'rdpull-lab'), { recursive: true });
  fs.writeFileSync(path.join(tree, release, `extension-release.${name}`), 'ID=_any\n');
  fs.writeFileSync(path.join(tree, below, 'rdpull-lab', name), `${name} is merged\n`);
  await tool([
    'mksquashfs',
    tree,
    path.join(lab.served, `${name}.raw`),
    '-quiet',
    '-no-progress',
    '-all-root',
  ]);
}

const SERVICE = `[Unit]
Description=Report of the lab
After=imports.target systemd-sysext.service systemd-confext.service network-online.target
Wants=imports.target
[Service]
Type=oneshot
ExecStart=/usr/bin/lab-report
StandardOutput=tty
TTYPath=/dev/console
[Install]
WantedBy=multi-user.target
`;

const PROGRAM = `#!/bin/sh
echo
echo "${MARK} booted"
${REPORT}
echo "${MARK} sysext $(cat /usr/rdpull-lab/*)"
echo "${MARK} confext $(cat /etc/rdpull-lab/*)"
echo "${MARK} guest $(sha256sum /var/lib/machines/guest.raw)"
echo "${MARK} end"
poweroff -f
`;

/** A bare squashfs of Debian with rdpull, as \`scripts/install\` leaves it. */
async function makeDebian(lab: Lab): Promise<RootTree> {
  const files = lab.file('debian');
  const write = (name: string, content: string, mode = 0o644) => {
    fs.mkdirSync(path.join(files, path.dirname(name)), { recursive: true });
    fs.writeFileSync(path.join(files, name), content);
    fs.chmodSync(path.join(files, name), mode);
  };
  fs.mkdirSync(path.join(files, path.dirname(PROOF)), { recursive: true });
  const sha256 = writeProof(files);
  write('etc/systemd/network/10-lab.network', '[Match]\nType=ether\n[Network]\nDHCP=ipv4\n');
  // The root is read-only.
  write('etc/fstab', 'tmpfs /var/lib/machines tmpfs mode=700 0 0\n');
  write('etc/systemd/system/lab-report.service', SERVICE);
  write('usr/bin/lab-report', PROGRAM, 0o755);
  await inToolbox(
    'forky',
    lab.directory,
    `
cd /checkout
scripts/install DESTDIR= >&2
cp -r /shared/debian/. /
rm -rf /boot/* /usr/lib/python3* /usr/share/perl* /usr/lib/*/perl* /usr/share/locale /usr/share/doc /usr/lib/dracut
: >/etc/machine-id
systemctl enable systemd-networkd systemd-sysext systemd-confext lab-report >&2
mksquashfs / /shared/served/host.raw -quiet -no-progress -comp zstd -Xcompression-level 3 -wildcards \\
  -e 'proc/*' 'sys/*' 'dev/*' 'run/*' 'tmp/*' 'var/tmp/*' 'var/cache/apt/*' 'var/lib/apt/lists/*' checkout shared >&2`,
  );
  return { directory: files, sha256 };
}
