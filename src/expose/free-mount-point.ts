import fs from 'node:fs';
import path from 'node:path';
import { printable } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { shellCommand } from '../console/shell-command.ts';
import { isWithin, mountsBelow, readMounts } from '../kernel/mount-points.ts';

/**
 * Finds out whether a tree can be bind-mounted on `directory`: something else must not be mounted there already, or it
 * would be covered; nor may it lie in a tree that is going to be `replaced`.
 *
 * @throws RdpullError target-busy, mount-failed
 */
export function requireFreeMountPoint(directory: string, tree: string, isReplaced: boolean): void {
  const real = fs.realpathSync(directory);
  if (isReplaced && isWithin(real, path.resolve(tree))) {
    throw new RdpullError(
      'mount-failed',
      `${printable(directory)} lies in ${printable(tree)}, which is to be replaced`,
      'name another directory',
    );
  }
  if (!readMounts().some(({ mountPoint }) => mountPoint === real) || isMountedOn(tree, directory)) return;
  throw new RdpullError(
    'target-busy',
    `something else is mounted on ${printable(directory)} already`,
    `unmount it first: ${shellCommand(['umount', directory])}; or name another directory`,
  );
}

/** Whether `directory` is where the tree `tree` is mounted to, and not that tree itself. */
export function isMountedOn(tree: string, directory: string): boolean {
  const [from, to] = [fs.statSync(tree, { throwIfNoEntry: false }), fs.statSync(directory)];
  if (from === undefined || from.dev !== to.dev || from.ino !== to.ino) return false;
  const mountPoint = fs.realpathSync(directory);
  return mountPoint !== fs.realpathSync(tree) && mountsBelow(directory).includes(mountPoint);
}
