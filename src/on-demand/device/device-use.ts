import { printable } from '../../console/printable.ts';
import { type LoopMount, loopMounts } from '../../expose/loop-mounts.ts';
import { loopDevicePath, loopDiskHolders, loopHolders } from '../../expose/loop-sysfs.ts';
import { otherMountNamespaces, readMounts } from '../../kernel/mount-points.ts';

/** What a device is used for. `what` is a clause: "/dev/loop0p1 is mounted on /sysroot". */
export type DeviceUse =
  | { readonly kind: 'none' }
  | { readonly kind: 'partition'; readonly what: string }
  /** `survives`: whether that outlives that another file is put under the device. */
  | { readonly kind: 'whole'; readonly what: string; readonly survives: boolean };

/** File systems that do without being told that their disk has changed: they have no way to shut down. */
const SURVIVE: ReadonlySet<string> = new Set(['erofs', 'squashfs', 'iso9660', 'cramfs', 'romfs']);

/**
 * What a loop device is used for, in all mount namespaces, and on devices that are stacked on it. Of several uses the one that
 * would suffer from another file first, then those of partitions.
 */
export function useOfDevice(number: number): DeviceUse {
  const disk = loopDevicePath(number);
  // After a switch-root, this process may see nothing of the new root, and PID 1 does.
  const mounts = loopMounts(number, [
    ...readMounts(),
    ...readMounts(1),
    ...otherMountNamespaces().flatMap((namespace) => namespace.mounts),
  ]);
  const whole = mounts.filter(({ device }) => device === disk);
  const lost = whole.find(({ type }) => !SURVIVE.has(type));
  if (lost !== undefined) return { kind: 'whole', what: mountedAt(lost), survives: false };

  const partition = mounts.find(({ device }) => device !== disk);
  if (partition !== undefined) return { kind: 'partition', what: mountedAt(partition) };
  const diskHolders = loopDiskHolders(number);
  const holder = loopHolders(number).find((each) => !diskHolders.includes(each));
  if (holder !== undefined) return { kind: 'partition', what: stacked(holder, `a partition of ${disk}`) };

  if (whole[0] !== undefined) return { kind: 'whole', what: mountedAt(whole[0]), survives: true };
  if (diskHolders[0] !== undefined) {
    return { kind: 'whole', what: stacked(diskHolders[0], disk), survives: true };
  }
  return { kind: 'none' };
}

function mountedAt({ device, mountPoint }: LoopMount): string {
  return `${device} is mounted on ${printable(mountPoint)}`;
}

function stacked(holder: string, on: string): string {
  return `${printable(holder)} uses ${on}`;
}
