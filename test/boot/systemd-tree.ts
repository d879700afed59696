import fs from 'node:fs';
import path from 'node:path';
import type { Suite } from '../fixtures/suite-tree.ts';
import { MARK, PROOF, REPORT, type RootTree, writeProof } from './root-tree.ts';
import { tool } from './tool.ts';
import { toolbox } from './toolbox.ts';

/** What is of no use to a machine that boots. */
const LEFT_OUT = [
  'boot',
  'usr/lib/modules',
  'usr/share/doc',
  'usr/share/man',
  'var/cache/apt',
  'var/lib/apt/lists',
];

/** What networkd does with the interfaces; below the root of the image. */
export const NETWORK_FILE = 'etc/systemd/network/10-lab.network';

/** Runs once multi-user.target is reached, and switches the machine off. */
const UNIT = `[Unit]
Description=What the lab wants to know
After=multi-user.target

[Service]
ExecStart=/bin/sh /usr/lib/lab
`;

/**
 * A Debian with systemd as its init, for a root that is read-only.
 *
 * @param directory does not exist yet
 * @param script shell commands when it is up, before it switches itself off
 */
export async function makeSystemdTree(
  directory: string,
  script: string,
  suite: Suite = 'forky',
): Promise<RootTree> {
  await tool(['cp', '--archive', '--reflink=auto', await toolbox(suite), directory]);
  for (const name of LEFT_OUT) fs.rmSync(path.join(directory, name), { recursive: true, force: true });
  for (const name of ['proc', 'sys', 'dev', 'run', 'tmp', 'var/tmp', 'root', path.dirname(PROOF)]) {
    fs.mkdirSync(path.join(directory, name), { recursive: true });
  }
  const write = (name: string, content: string) => {
    const file = path.join(directory, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.rmSync(file, { force: true });
    fs.writeFileSync(file, content);
  };
  const link = (name: string, target: string) => {
    const file = path.join(directory, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.rmSync(file, { force: true });
    fs.symlinkSync(target, file);
  };
  write('etc/machine-id', '');
  write('etc/fstab', '');
  write('etc/systemd/system/lab.service', UNIT);
  link('etc/systemd/system/multi-user.target.wants/lab.service', '../lab.service');
  link('etc/systemd/system/default.target', '/usr/lib/systemd/system/multi-user.target');
  link('usr/sbin/init', '../lib/systemd/systemd');
  write(
    'usr/lib/lab',
    `exec >/dev/console 2>&1
echo
echo "${MARK} booted"
${REPORT}
${script}
echo "${MARK} end"
systemctl poweroff
`,
  );
  return { directory, sha256: writeProof(directory) };
}

/** Lets the networkd of the real root take over the interfaces that the initrd has set up. */
export function addNetwork({ directory }: RootTree): void {
  fs.writeFileSync(path.join(directory, NETWORK_FILE), '[Match]\nType=ether\n\n[Network]\nDHCP=ipv4\n');
  const wants = path.join(directory, 'etc/systemd/system/multi-user.target.wants');
  fs.symlinkSync('/usr/lib/systemd/system/systemd-networkd.service', `${wants}/systemd-networkd.service`);
}
