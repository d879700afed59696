import fs from 'node:fs';
import { type Mount, readMounts } from '../kernel/mount-points.ts';
import { loopDeviceNumber, loopDevicePath, loopPartitions } from './loop-sysfs.ts';

export interface LoopMount {
  /** `/dev/loop3`, or `/dev/loop3p2` */
  readonly device: string;
  readonly mountPoint: string;
  /** Of the file system, as mount(8) calls it. */
  readonly type: string;
}

/** Where the device or one of its partitions is mounted, the first place found in this mount namespace. */
export function findLoopMount(number: number): LoopMount | undefined {
  return loopMounts(number, readMounts())[0];
}

/** All of the `mounts` that are of the device or of one of its partitions. */
export function loopMounts(number: number, mounts: readonly Mount[]): LoopMount[] {
  const nodes = [
    { path: loopDevicePath(number), device: loopDeviceNumber(number) },
    ...loopPartitions(number),
  ];
  return mounts.flatMap(({ source, device, mountPoint, type }) => {
    // btrfs mounts have a device number of their own, and only their source tells.
    const real = resolve(source);
    const node = nodes.find((each) => device === each.device || real === each.path);
    return node === undefined ? [] : [{ device: node.path, mountPoint, type }];
  });
}

function resolve(source: string): string {
  if (!source.startsWith('/dev/')) return source;
  try {
    return fs.realpathSync(source);
  } catch {
    return source;
  }
}
