import fs from 'node:fs';
import path from 'node:path';
import { tool } from './tool.ts';
import { toolbox } from './toolbox.ts';

/** Stands before everything that the booted root says on the console. */
export const MARK = 'rdpull-lab:';

const APPLETS = ['sh', 'awk', 'cat', 'grep', 'ls', 'poweroff', 'sha256sum', 'su', 'sync', 'uname'];

/** A root file system that says what it is, and switches the machine off. */
export interface RootTree {
  readonly directory: string;
  /** Of a file in it whose content is random, new for each run. */
  readonly sha256: string;
}

/**
 * A root file system of 2 MB whose init prints where it was booted from and what is in it.
 *
 * @param directory does not exist yet
 * @param more shell commands for its init
 * @param programs the tree that its busybox is from
 */
export async function makeRootTree(directory: string, more = '', programs?: string): Promise<RootTree> {
  for (const name of [
    'dev',
    'etc',
    'proc',
    'root',
    'run',
    'sys',
    'tmp',
    'usr/bin',
    'usr/lib',
    'usr/sbin',
    'var',
  ])
    fs.mkdirSync(path.join(directory, name), { recursive: true });
  for (const name of ['bin', 'lib', 'sbin']) fs.symlinkSync(`usr/${name}`, path.join(directory, name));
  fs.copyFileSync(
    path.join(programs ?? (await toolbox('forky')), 'usr/bin/busybox'),
    path.join(directory, 'usr/bin/busybox'),
  );
  for (const applet of APPLETS) fs.symlinkSync('busybox', path.join(directory, 'usr/bin', applet));
  const write = (name: string, content: string | Uint8Array, mode = 0o644) => {
    fs.writeFileSync(path.join(directory, name), content);
    fs.chmodSync(path.join(directory, name), mode);
  };
  write(
    'etc/os-release',
    'ID=rdpull-lab\nNAME="rdpull lab"\nPRETTY_NAME="the root image of the rdpull lab"\n',
  );
  write('etc/passwd', 'root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n');
  write('etc/group', 'root:x:0:\nnogroup:x:65534:\n');
  write('usr/sbin/init', reportScript(more), 0o755);
  return { directory, sha256: writeProof(directory) };
}

/** A file of 64 KiB that is in no other image. Returns its SHA-256. */
export function writeProof(directory: string): string {
  const content = crypto.getRandomValues(new Uint8Array(65536));
  fs.writeFileSync(path.join(directory, PROOF), content);
  return new Bun.CryptoHasher('sha256').update(content).digest('hex');
}

/** Adds a file that nothing shrinks, so that an image takes its time. Returns its SHA-256. @param size MiB */
export function writeBallast(directory: string, size: number): string {
  const hash = new Bun.CryptoHasher('sha256');
  const file = fs.openSync(path.join(directory, BALLAST), 'w');
  for (let part = 0; part < size; part++) {
    const content = crypto.getRandomValues(Buffer.alloc(1024 * 1024));
    fs.writeSync(file, content);
    hash.update(content);
  }
  fs.closeSync(file);
  return hash.digest('hex');
}

/** Below the root of the image. */
export const BALLAST = 'ballast';
/** Below the root of the image. */
export const PROOF = 'usr/lib/proof';

/** Adds a program that runs as root whoever starts it, with the libraries it is linked with. */
export async function addSetuidProgram({ directory }: RootTree): Promise<void> {
  const program = '/usr/bin/whoami';
  const listing = await tool(['ldd', program]);
  for (const [, library = ''] of listing.matchAll(/(\/\S+) \(0x/g)) {
    const target = path.join(directory, library.startsWith('/usr/') ? library : `/usr${library}`);
    fs.mkdirSync(path.dirname(target), { recursive: true });
    fs.copyFileSync(library, target);
  }
  if (fs.existsSync('/lib64')) fs.symlinkSync('usr/lib64', path.join(directory, 'lib64'));
  const target = path.join(directory, 'usr/bin/setuid-whoami');
  fs.copyFileSync(program, target);
  fs.chmodSync(target, 0o4755);
}

/** Says everything on the kernel's console, wherever systemd has left standard output. */
export const reportScript = (more: string) => `#!/bin/sh
PATH=/usr/bin
exec >/dev/console 2>&1
echo
echo "${MARK} booted"
${REPORT}
${more}
echo "${MARK} end"
sync
# The console sends this when it can, and what the kernel says of its end would come out in the middle of it.
busybox sleep 1
poweroff -f
`;

/** What the lab wants to know of every root that has been booted, as lines for a shell. */
export const REPORT = `
echo "${MARK} command line $(cat /proc/cmdline)"
echo "${MARK} root $(awk '$5 == "/" { print }' /proc/self/mountinfo)"
for file in /sys/block/loop*/loop/backing_file; do
  [ ! -e "$file" ] || echo "${MARK} loop device $file $(cat "$file")"
done
echo "${MARK} images $(ls /run/machines)"
echo "${MARK} proof $(sha256sum /${PROOF})"
`;
