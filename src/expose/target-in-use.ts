import fs from 'node:fs';
import { printable } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { shellCommand, shellWord } from '../console/shell-command.ts';
import {
  isWithin,
  type Mount,
  type MountedPlace,
  mountedPlace,
  mountsBelow,
  otherMountNamespaces,
  processes,
  readMounts,
  readProcessLink,
} from '../kernel/mount-points.ts';
import { statAt } from '../kernel/path-lookup.ts';
import { findLoopMount } from './loop-mounts.ts';
import { findLoopNumbers } from './loop-search.ts';
import { loopDevicePath, loopHolders } from './loop-sysfs.ts';

/** What uses an image or a tree. Both are clauses: "it is mounted on /mnt", "unmount it first: umount /mnt". */
export interface TargetUse {
  readonly what: string;
  readonly remedy: string;
}

/**
 * What uses the image or the tree at `target`, so that it must not be replaced: that takes the files of a tree from
 * under whoever has it mounted, and what is attached of an image could no longer be told by its name. undefined when
 * nothing does, as far as this user may see it, or nothing is there.
 */
export function useOfTarget(target: string): TargetUse | undefined {
  const stat = statAt(target);
  if (stat === undefined) return undefined;
  const mounts = readMounts();
  const [mountPoint] = mountsBelow(target, mounts);
  if (mountPoint !== undefined) {
    return { what: `${printable(mountPoint)} is mounted`, remedy: unmountFirst(mountPoint) };
  }
  const real = fs.realpathSync(target);
  return stat.isDirectory() ? useOfTree(real, mounts) : useOfImage(real, mounts);
}

/** @throws RdpullError target-busy */
export function requireUnused(target: string): void {
  const use = useOfTarget(target);
  if (use === undefined) return;
  throw new RdpullError('target-busy', `${printable(target)} cannot be replaced: ${use.what}`, use.remedy);
}

function useOfTree(real: string, mounts: readonly Mount[]): TargetUse | undefined {
  const place = mountedPlace(real, mounts);
  const mount = mounts.find((each) => isMountOf(each, place) || isLayer(each, real));
  if (mount !== undefined) {
    return {
      what: `it is mounted on ${printable(mount.mountPoint)}`,
      remedy: unmountFirst(mount.mountPoint),
    };
  }
  for (const { process, mounts: seen } of otherMountNamespaces()) {
    const elsewhere = seen.find((each) => isMountOf(each, place));
    if (elsewhere === undefined) continue;
    return {
      what: `it is mounted on ${printable(elsewhere.mountPoint)} in the mount namespace of process ${process}`,
      remedy: `end what runs there: nsenter --mount --target ${process} fuser -vm ${shellWord(elsewhere.mountPoint)} shows it`,
    };
  }
  const inside = processes().find((process) =>
    isWithin(readProcessLink(`/proc/${process}/root`) ?? '', real),
  );
  if (inside === undefined) return undefined;
  return {
    what: `process ${inside} has it as its root directory`,
    remedy: `end it first: kill ${inside}`,
  };
}

/** Whether the tree, or a directory in it, is what is mounted there. */
function isMountOf({ device, root }: Mount, place: MountedPlace | undefined): boolean {
  return place !== undefined && device === place.device && isWithin(root, place.path);
}

/** Whether an overlay has the tree, or a directory in it, as a layer. */
function isLayer({ type, options }: Mount, tree: string): boolean {
  if (type !== 'overlay') return false;
  return options
    .split(',')
    .flatMap((option) => /^(?:lowerdir\+?|datadir\+|upperdir)=(.*)$/.exec(option)?.[1]?.split(':') ?? [])
    .some((layer) => isWithin(layer, tree));
}

function useOfImage(real: string, mounts: readonly Mount[]): TargetUse | undefined {
  // A file system of a file, without a loop device: erofs can do that since Linux 6.12.
  const direct = mounts.find(({ source }) => source === real);
  if (direct !== undefined) {
    return {
      what: `it is mounted on ${printable(direct.mountPoint)}`,
      remedy: unmountFirst(direct.mountPoint),
    };
  }
  const [number] = findLoopNumbers(real);
  if (number === undefined) return undefined;
  const what = `it is attached to ${loopDevicePath(number)}`;
  const detach = ['rdpull', 'detach', loopDevicePath(number)];
  const mount = findLoopMount(number);
  if (mount !== undefined) {
    return {
      what: `${what}, and ${mount.device} is mounted on ${printable(mount.mountPoint)}`,
      remedy: `${unmountFirst(mount.mountPoint)} && ${shellCommand(detach)}`,
    };
  }
  const [holder] = loopHolders(number);
  if (holder !== undefined) {
    return {
      what: `${what}, which ${printable(holder)} uses`,
      remedy: `remove that first (lsblk ${loopDevicePath(number)} shows it), then: ${shellCommand(detach)}`,
    };
  }
  return { what, remedy: `detach it first: ${shellCommand(detach)}` };
}

function unmountFirst(mountPoint: string): string {
  return `unmount it first: ${shellCommand(['umount', mountPoint])}`;
}
