import fs from 'node:fs';
import path from 'node:path';
import type { Suite } from '../fixtures/suite-tree.ts';
import { makeRootTree, type RootTree, reportScript } from './root-tree.ts';
import { tool } from './tool.ts';
import { toolbox } from './toolbox.ts';

/** What runs in it, and what systemd opens only when it needs it. */
const PROGRAMS = ['systemd', 'systemd-executor', 'systemd-journald'].map((name) => `usr/lib/systemd/${name}`);
const TOOLS = ['usr/bin/systemctl', 'usr/bin/journalctl'];
const OPENED = ['libmount.so.1', 'libseccomp.so.2', 'libkmod.so.2', 'libacl.so.1', 'libblkid.so.1'];

/**
 * The root of the lab with the systemd of a suite as its PID 1, and a service that reports: some 35 MB.
 *
 * @param more shell commands of that service, behind the report
 */
export async function makeSystemdRoot(directory: string, suite: Suite, more: string): Promise<RootTree> {
  const tree = await makeRootTree(directory);
  const from = await toolbox(suite);
  const libraries = 'usr/lib/x86_64-linux-gnu';
  const copy = (name: string) => {
    const target = path.join(directory, name);
    fs.mkdirSync(path.dirname(target), { recursive: true });
    fs.copyFileSync(path.join(from, name), target);
  };
  const present = (name: string) => fs.existsSync(path.join(from, name));
  await tool(['cp', '-a', path.join(from, 'usr/lib/systemd'), path.join(directory, 'usr/lib')]);
  // Nothing here is theirs to do. Fifteen of them took 4 to 9 s each on a busy machine, and systemd gives up after 90.
  fs.rmSync(path.join(directory, 'usr/lib/systemd/system-generators'), { recursive: true });
  const elf = [...PROGRAMS, ...TOOLS, ...OPENED.map((name) => `${libraries}/${name}`)].filter(present);
  for (const name of TOOLS) copy(name);
  const listing = await tool(['chroot', from, 'ldd', ...elf.map((name) => `/${name}`)]);
  const linked = [...listing.matchAll(/(\/\S+) \(0x/g)].map(([, name = '']) =>
    name.replace(/^\/(?:usr\/)?/, 'usr/'),
  );
  for (const name of new Set([...linked, ...elf.filter((each) => each.startsWith(libraries))])) copy(name);
  fs.symlinkSync('usr/lib64', path.join(directory, 'lib64'));
  for (const applet of ['sleep', 'mount', 'tr'])
    fs.symlinkSync('busybox', path.join(directory, 'usr/bin', applet));

  const write = (name: string, content: string, mode = 0o644) =>
    fs.writeFileSync(path.join(directory, name), content, { mode });
  fs.rmSync(path.join(directory, 'usr/sbin/init'));
  fs.symlinkSync('../lib/systemd/systemd', path.join(directory, 'usr/sbin/init'));
  fs.mkdirSync(path.join(directory, 'etc/systemd/system'), { recursive: true });
  write('etc/machine-id', '');
  write(
    'etc/systemd/system/lab.target',
    '[Unit]\nWants=lab.service systemd-journald.service\nAllowIsolate=yes\n',
  );
  fs.symlinkSync('lab.target', path.join(directory, 'etc/systemd/system/default.target'));
  write(
    'etc/systemd/system/lab.service',
    '[Unit]\nDefaultDependencies=no\nAfter=systemd-journald.service\n[Service]\nType=oneshot\nExecStart=/usr/bin/lab\n',
  );
  write('usr/bin/lab', reportScript(more), 0o755);
  return tree;
}
