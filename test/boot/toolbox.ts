import fs from 'node:fs';
import path from 'node:path';
import { CHECKOUT } from './scratch.ts';
import { tool } from './tool.ts';

/** The Debian releases whose systemd rdpull is booted with: 252, 257 and the newest. */
export type Suite = 'bookworm' | 'trixie' | 'forky';

const trees = new Map<Suite, Promise<string>>();

/** The tree of a suite, in which there are its systemd, dracut and kernel. It is made when it is not there. */
export function toolbox(suite: Suite): Promise<string> {
  const tree =
    trees.get(suite) ??
    tool([path.join(CHECKOUT, 'scripts/toolbox'), suite]).then((output) => output.trimEnd());
  trees.set(suite, tree);
  return tree;
}

/** The kernel of a suite, and its release. */
export async function kernel(suite: Suite): Promise<{ readonly file: string; readonly release: string }> {
  const boot = path.join(await toolbox(suite), 'boot');
  const name = fs
    .readdirSync(boot)
    .filter((file) => file.startsWith('vmlinuz-'))
    .sort()
    .at(-1);
  if (name === undefined) throw new Error(`there is no kernel in ${boot}`);
  return { file: path.join(boot, name), release: name.slice('vmlinuz-'.length) };
}

/**
 * Runs a shell script in the tree of a suite, which keeps nothing of what the script does to it: it works on an overlay
 * that ends with it. `/checkout` is the working copy, read-only; `/shared` is `directory`, where results are left.
 */
export async function inToolbox(
  suite: Suite,
  directory: string,
  script: string,
  args: readonly string[] = [],
): Promise<string> {
  const inside = `
tree=$1 checkout=$2 shared=$3
shift 3
work=$(mktemp -d)
mount -t tmpfs -o mode=755 toolbox "$work"
mkdir "$work/upper" "$work/work" "$work/root"
mount -t overlay -o "lowerdir=$tree,upperdir=$work/upper,workdir=$work/work" toolbox "$work/root"
root=$work/root
mkdir "$root/checkout" "$root/shared"
mount --bind "$checkout" "$root/checkout"
mount -o remount,bind,ro "$root/checkout"
mount --bind "$shared" "$root/shared"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmp "$root/var/tmp"
status=0
env -i PATH=/usr/sbin:/usr/bin LC_ALL=C.UTF-8 "$(command -v chroot)" "$root" "$@" || status=$?
umount -l "$work"
rmdir "$work"
exit $status`;
  const namespace = ['unshare', '--mount', '--propagation', 'private', 'sh', '-euc', inside, 'sh'];
  const where = [await toolbox(suite), CHECKOUT, directory];
  return await tool([...namespace, ...where, 'sh', '-euc', script, 'sh', ...args]);
}
