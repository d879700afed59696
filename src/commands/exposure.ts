import { printable } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { shellWord } from '../console/shell-command.ts';
import type { AttachedLoopDevice } from '../expose/loop-device.ts';
import { obstacleTo, statAt } from '../kernel/path-lookup.ts';

/** How a published image is to be made usable. */
export interface Exposure {
  readonly blockdev: boolean;
  /** Where to bind-mount the tree. */
  readonly bind: string | undefined;
  /** Where to leave a link to the device with the root file system. */
  readonly rootLink: string | undefined;
  readonly readOnly: boolean;
}

/**
 * Finds out before the download what would make {@link exposeImage} fail after it.
 *
 * @throws RdpullError not-root, loop-missing, mount-failed, target-unwritable
 */
export async function requireExposable({ blockdev, bind, rootLink }: Exposure): Promise<void> {
  if (blockdev || bind !== undefined) requireRoot(blockdev ? 'attaching a loop device' : 'mounting');
  if (blockdev) {
    const { requireLoopControl } = await import('../expose/loop-control.ts');
    requireLoopControl();
  }
  if (rootLink !== undefined) {
    const { requireLinkPlace } = await import('../expose/root-partition.ts');
    requireLinkPlace(rootLink);
  }
  if (bind !== undefined && statAt(bind)?.isDirectory() !== true) {
    throw new RdpullError(
      'mount-failed',
      `${printable(bind)} is not a directory, so nothing can be mounted on it`,
      obstacleTo(bind) === undefined
        ? `make it first: mkdir -p ${shellWord(bind)}`
        : 'name a directory with --bind=DIR',
    );
  }
}

/**
 * Finds out likewise, when it is known what the image will be called, whether there is a free place for it.
 *
 * @throws RdpullError target-busy, mount-failed
 */
export async function requireFreeFor(target: string, { bind }: Exposure, isReplaced: boolean): Promise<void> {
  if (bind === undefined) return;
  const { requireFreeMountPoint } = await import('../expose/free-mount-point.ts');
  requireFreeMountPoint(bind, target, isReplaced);
}

/** @throws RdpullError not-root */
export function requireRoot(what: string): void {
  if (process.geteuid?.() === 0) return;
  throw new RdpullError('not-root', `${what} needs root`, 'run it again with sudo');
}

/** How an image was made usable. */
export interface Exposed {
  readonly device?: AttachedLoopDevice;
  /** The device with the root file system, where a link to it was asked for. */
  readonly root?: string;
  readonly mount?: string;
}

/** Who hears of what, and says when to stop. */
interface Attention {
  readonly warn: (text: string) => void;
  readonly signal: AbortSignal;
}

/**
 * Attaches or mounts a published image. What an earlier run that did not come to its end has left of that is used.
 *
 * @throws RdpullError of the device family; the reason of the signal
 */
export async function exposeImage(
  target: string,
  { blockdev, bind, rootLink, readOnly }: Exposure,
  { warn, signal }: Attention,
): Promise<Exposed> {
  signal.throwIfAborted();
  if (blockdev) return attach(target, rootLink, readOnly, { warn, signal });
  if (bind !== undefined) {
    const { bindMount } = await import('../expose/bind-mount.ts');
    bindMount(target, bind, { readOnly, warn });
    return { mount: bind };
  }
  return {};
}

async function attach(
  target: string,
  rootLink: string | undefined,
  readOnly: boolean,
  { warn, signal }: Attention,
): Promise<Exposed> {
  const { findAttachedImage } = await import('../expose/attached-image.ts');
  const found = findAttachedImage(target, readOnly);
  if (found !== undefined) {
    warn(`${printable(target)} is attached to ${found.device} already, which is used as it is`);
    return linked(found, rootLink);
  }
  const { attachImage } = await import('../expose/attach-image.ts');
  const device = await attachImage({ path: target, readOnly, warn, signal });
  return linkedRoot(device, rootLink);
}

/**
 * Makes the link to the root of a device that was just attached.
 *
 * @throws RdpullError image-unrecognised, target-unwritable; the device is detached then
 */
export async function linkedRoot(device: AttachedLoopDevice, rootLink: string | undefined): Promise<Exposed> {
  try {
    return await linked(device, rootLink);
  } catch (error) {
    // Where there is no root, or no way to link to it, the device must not stay either.
    const [{ detachLoopDevice }, { removeLoopRefFile }] = await Promise.all([
      import('../expose/loop-detach.ts'),
      import('../expose/loop-ref-file.ts'),
    ]);
    const { backingFile } = await detachLoopDevice(device.device);
    removeLoopRefFile(backingFile);
    throw error;
  }
}

async function linked(device: AttachedLoopDevice, rootLink: string | undefined): Promise<Exposed> {
  if (rootLink === undefined) return { device };
  const { linkDevice, rootDevice } = await import('../expose/root-partition.ts');
  const root = rootDevice(device);
  linkDevice(rootLink, root);
  return { device, root };
}
