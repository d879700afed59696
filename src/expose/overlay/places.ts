import { isWithin, type Mount, readMounts } from '../../kernel/mount-points.ts';

/** What an overlay consists of lies here, below /run, which the real root takes over. Only root may look into it. */
export const OVERLAY_DIRECTORY = '/run/rdpull/overlay';

/** Where the tree that is not written to stays to be seen. */
export const LOWER = `${OVERLAY_DIRECTORY}/lower`;

/** Where the file system is mounted that takes what is written. */
export const UPPER = `${OVERLAY_DIRECTORY}/upper`;

/** An overlay of ours, as the kernel lists it. */
export interface MountedOverlay {
  readonly mountPoint: string;
  /** The type of the file system that takes what is written. */
  readonly type: string;
  /** The device of that; undefined: it is in memory. */
  readonly device: string | undefined;
}

/** The overlay whose upper layer is in {@link UPPER}; undefined when there is none. */
export function findOverlay(mounts: readonly Mount[] = readMounts()): MountedOverlay | undefined {
  const overlay = mounts.find(({ type, options }) => type === 'overlay' && hasItsUpperLayerHere(options));
  const upper = mounts.find(({ mountPoint }) => mountPoint === UPPER);
  if (overlay === undefined || upper === undefined) return undefined;
  const { type, source } = upper;
  return { mountPoint: overlay.mountPoint, type, device: type === 'tmpfs' ? undefined : source };
}

function hasItsUpperLayerHere(options: string): boolean {
  return options
    .split(',')
    .some((option) => option.startsWith('upperdir=') && isWithin(option.slice('upperdir='.length), UPPER));
}
