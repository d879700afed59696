import fs from 'node:fs';
import { printable } from '../../console/printable.ts';
import { RdpullError } from '../../console/rdpull-error.ts';
import { shellWord } from '../../console/shell-command.ts';
import {
  MS_BIND,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_PRIVATE,
  MS_RDONLY,
  MS_REMOUNT,
  mount,
  unmount,
} from '../../kernel/mount.ts';
import { readMounts } from '../../kernel/mount-points.ts';
import { isSystemError, reasonWithoutPath } from '../../kernel/system-error.ts';
import type { RootOverlay } from '../../request/root-overlay.ts';
import { type LayerDirectories, layerDirectories } from './layer-directories.ts';
import { findOverlay, LOWER, type MountedOverlay, OVERLAY_DIRECTORY, UPPER } from './places.ts';
import { unusable } from './unusable.ts';
import { mountUpper } from './upper-file-system.ts';

/** Where what is written is to go, and who hears of what. */
export interface OverlayRequest {
  readonly where: RootOverlay;
  /** Of the image: its upper layer is kept by this name. */
  readonly name: string;
  readonly warn: (text: string) => void;
}

const LOOK = 'look into the kernel log: dmesg | grep overlayfs';

/**
 * Makes the tree that is mounted on `root` one that can be written to, by an overlay over it: what is written goes to memory or to
 * the file system of a device, and the tree stays as it is. It can be seen on {@link LOWER} from then on, so that whoever looks for uses of
 * its device finds one. Where there is such an overlay already, nothing is done.
 *
 * @throws RdpullError overlay-unusable, mount-failed, target-busy; everything is as before then
 */
export function overlayRoot(root: string, { where, name, warn }: OverlayRequest): void {
  const target = requireMounted(root);
  const existing = findOverlay();
  if (existing !== undefined) {
    requireSame(existing, target, warn);
    return;
  }
  try {
    makeOverlay(target, where, name);
  } catch (error) {
    const { code, message } = RdpullError.from(error);
    if (where.kind === 'memory' || !where.isOptional || code !== 'overlay-unusable') throw error;
    warn(`${message}; it goes to memory, and is lost when the machine is switched off`);
    makeOverlay(target, { kind: 'memory' }, name);
  }
}

/** @returns the directory, without links */
function requireMounted(root: string): string {
  const real = fs.existsSync(root) ? fs.realpathSync(root) : root;
  if (readMounts().some(({ mountPoint }) => mountPoint === real)) return real;
  throw new RdpullError(
    'mount-failed',
    `nothing is mounted on ${printable(root)}, so that there is nothing to write over`,
    `mount the root there first, read-only: mount -o ro DEVICE ${shellWord(root)}`,
  );
}

function requireSame(existing: MountedOverlay, target: string, warn: (text: string) => void): void {
  const { mountPoint } = existing;
  if (mountPoint !== target) {
    throw new RdpullError(
      'target-busy',
      `there is an overlay on ${printable(mountPoint)} already, and a machine has one root`,
      `take it away first: umount ${shellWord(mountPoint)} ${LOWER} ${UPPER}`,
    );
  }
  warn(`${printable(target)} has an overlay already, which is used as it is`);
}

function makeOverlay(root: string, where: RootOverlay, name: string): void {
  fs.mkdirSync(OVERLAY_DIRECTORY, { recursive: true, mode: 0o700 });
  for (const each of [LOWER, UPPER]) fs.mkdirSync(each, { recursive: true });

  using undo = new DisposableStack();
  mountUpper(where);
  undo.defer(() => unmount(UPPER));
  const layers = layerDirectories(root, where, name);
  bindLower(root);
  undo.defer(() => unmount(LOWER));
  mountOverlay(root, where, layers);
  undo.move();
}

/** To be seen, and not to be used: whatever the overlay hides can be read here, by root alone. */
function bindLower(root: string): void {
  try {
    mount({ source: root, target: LOWER, flags: MS_BIND });
  } catch (error) {
    const message = `${printable(root)} cannot be mounted a second time: ${reasonWithoutPath(error)}`;
    throw new RdpullError('mount-failed', message, 'look into the kernel log with dmesg', { cause: error });
  }
  try {
    // What is mounted over the root is not to be mounted here as well: systemd has all mounts share theirs with their copies.
    mount({ target: LOWER, flags: MS_PRIVATE });
    // The first call ignores all other flags.
    mount({ target: LOWER, flags: MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC });
  } catch (error) {
    unmount(LOWER);
    throw error;
  }
}

/** @throws RdpullError overlay-unusable, mount-failed */
function mountOverlay(root: string, where: RootOverlay, { upper, work }: LayerDirectories): void {
  // Without what ties an upper layer to one lower layer alone: the next boot may have a newer image below it.
  const features = 'index=off,metacopy=off,redirect_dir=off';
  const options = `lowerdir=${LOWER},upperdir=${upper},workdir=${work},${features}`;
  try {
    mount({ source: 'rdpull', target: root, type: 'overlay', flags: 0, options });
  } catch (error) {
    if (!isSystemError(error, 'ENODEV'))
      throw unusable(where, `the kernel makes no overlay with it: ${reasonWithoutPath(error)}`, LOOK, error);
    throw new RdpullError(
      'mount-failed',
      'the kernel does not know overlay file systems',
      'have the module overlay in the initrd: dracut --add-drivers overlay, or KernelModules= of mkosi',
      { cause: error },
    );
  }
}
