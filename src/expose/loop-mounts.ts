import fs from 'node:fs';
import { unescapeOctal } from '../kernel/mount-points.ts';
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
    const node = nodes.find(({ path, device }) => mount.device === device || mount.source === path);
    if (node !== undefined) return { device: node.path, mountPoint: mount.mountPoint };
  }
  return undefined;
}

interface Mount {
  readonly device: string;
  readonly mountPoint: string;
  /** Resolved where it is a path below /dev: btrfs mounts have a device number of their own, and only this tells. */
  readonly source: string;
}

/** proc_pid_mountinfo(5). The optional fields before the `-` vary in number. */
function readMounts(): Mount[] {
  return fs
    .readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [left, right] = line.split(' - ');
      const [, , device, , mountPoint] = left?.split(' ') ?? [];
      const [, source] = right?.split(' ') ?? [];
      if (device === undefined || mountPoint === undefined || source === undefined) return [];
      return [{ device, mountPoint: unescapeOctal(mountPoint), source: resolve(unescapeOctal(source)) }];
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
