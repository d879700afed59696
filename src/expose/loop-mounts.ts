import fs from 'node:fs';
import { readMounts } from '../kernel/mount-points.ts';
import { loopDeviceNumber, loopDevicePath, loopPartitions } from './loop-sysfs.ts';

export interface LoopMount {
  /** `/dev/loop3`, or `/dev/loop3p2` */
  readonly device: string;
  readonly mountPoint: string;
}

/** Where the device or one of its partitions is mounted, the first place found in this mount namespace. */
export function findLoopMount(number: number): LoopMount | undefined {
  const nodes = [
    { path: loopDevicePath(number), device: loopDeviceNumber(number) },
    ...loopPartitions(number),
  ];
  for (const mount of readMounts()) {
    // btrfs mounts have a device number of their own, and only their source tells.
    const source = resolve(mount.source);
    const node = nodes.find(({ path, device }) => mount.device === device || source === path);
    if (node !== undefined) return { device: node.path, mountPoint: mount.mountPoint };
  }
  return undefined;
}

function resolve(source: string): string {
  if (!source.startsWith('/dev/')) return source;
  try {
    return fs.realpathSync(source);
  } catch {
    return source;
  }
}
