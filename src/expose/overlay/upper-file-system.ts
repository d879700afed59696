import fs from 'node:fs';
import { printable } from '../../console/printable.ts';
import { size } from '../../console/quantity.ts';
import type { RdpullError } from '../../console/rdpull-error.ts';
import { shellWord } from '../../console/shell-command.ts';
import { MS_NODEV, MS_NOEXEC, MS_NOSUID, mount, unmount } from '../../kernel/mount.ts';
import { statAt } from '../../kernel/path-lookup.ts';
import { isSystemError, reasonWithoutPath } from '../../kernel/system-error.ts';
import type { RootOverlay } from '../../request/root-overlay.ts';
import { recogniseFileSystem } from '../file-system-magic.ts';
import { imageBytes } from '../image-bytes.ts';
import { UPPER } from './places.ts';
import { unusable } from './unusable.ts';

type OverlayDevice = Extract<RootOverlay, { kind: 'device' }>;

/** What can keep the owners, attributes and whiteouts of an upper layer (Documentation/filesystems/overlayfs.rst). */
const FIT: ReadonlySet<string> = new Set(['ext2', 'ext3', 'ext4', 'xfs', 'btrfs', 'f2fs']);

/** Nobody reaches anything by this mount but root; what a program in the overlay may do, the overlay decides. */
const FLAGS = MS_NOSUID | MS_NODEV | MS_NOEXEC;

/** Bytes. A file system with less is full: a boot writes more than that before anybody can remove something. */
const LEAST_ROOM = 1024 * 1024;

/**
 * Mounts what takes what is written on {@link UPPER}: a file system in memory, which may take half of the RAM as every tmpfs, or
 * that of a device, which is never made, and of which nothing is removed.
 *
 * @throws RdpullError overlay-unusable: the device is missing, full, read-only, or holds nothing that is fit; nothing is mounted then
 */
export function mountUpper(where: RootOverlay): void {
  if (where.kind === 'device') {
    mountDevice(where);
    return;
  }
  try {
    mount({ source: 'rdpull', target: UPPER, type: 'tmpfs', flags: FLAGS, options: 'mode=0755' });
  } catch (error) {
    throw unusable(where, reasonWithoutPath(error), 'look into the kernel log with dmesg', error);
  }
}

function mountDevice(device: OverlayDevice): void {
  const type = typeOf(device);
  if (!FIT.has(type)) throw unfit(device, type);
  try {
    mount({ source: device.path, target: UPPER, type, flags: FLAGS });
  } catch (error) {
    throw unmountable(device, type, error);
  }
  try {
    requireRoom(device);
  } catch (error) {
    unmount(UPPER);
    throw error;
  }
}

/** @throws RdpullError overlay-unusable */
function typeOf(device: OverlayDevice): string {
  const stat = statAt(device.path);
  if (stat === undefined) {
    throw unusable(
      device,
      `there is no ${printable(device.path)}`,
      'look at what there is with lsblk -f, and at whether the driver of the disk is in the initrd',
    );
  }
  if (!stat.isBlockDevice())
    throw unusable(device, 'it is no block device', 'name the partition that has the file system');
  const type = recognised(device);
  if (type !== undefined) return type;
  throw unusable(
    device,
    'it holds no file system that is known here, and none is made',
    `make one, which deletes what is there: mkfs.ext4 ${shellWord(device.path)}`,
  );
}

function recognised(device: OverlayDevice): string | undefined {
  let fd: number | undefined;
  try {
    fd = fs.openSync(device.path, 'r');
    return recogniseFileSystem(imageBytes(fd));
  } catch (error) {
    throw unusable(device, `it cannot be read: ${reasonWithoutPath(error)}`, 'look into dmesg', error);
  } finally {
    if (fd !== undefined) fs.closeSync(fd);
  }
}

function unfit(device: OverlayDevice, type: string): RdpullError {
  if (type === 'crypto_LUKS') {
    return unusable(
      device,
      'it is encrypted',
      'unlock it before (rd.luks.name=UUID=NAME), and name /dev/mapper/NAME',
    );
  }
  return unusable(
    device,
    `it holds ${type}, which cannot be written to as an overlay`,
    'name one with ext4, xfs, btrfs or f2fs',
  );
}

function unmountable(device: OverlayDevice, type: string, error: unknown): RdpullError {
  const [why, hint] = isSystemError(error, 'ENODEV')
    ? [
        `the kernel does not know ${type}`,
        `have its module in the initrd: dracut --add-drivers ${type}, or KernelModules= of mkosi`,
      ]
    : isSystemError(error, 'EACCES', 'EROFS')
      ? ['it is read-only', `see whether it is write-protected: blockdev --getro ${shellWord(device.path)}`]
      : [
          `its ${type} cannot be mounted: ${reasonWithoutPath(error)}`,
          `look into dmesg, and check it: fsck ${shellWord(device.path)}`,
        ];
  return unusable(device, why, hint, error);
}

/** @throws RdpullError overlay-unusable */
function requireRoom(device: OverlayDevice): void {
  const { bfree, bsize, files, ffree } = fs.statfsSync(UPPER);
  // Of btrfs, which makes them as it needs them, both numbers are 0.
  const lacksInodes = files > 0 && ffree === 0;
  if (bfree * bsize >= LEAST_ROOM && !lacksInodes) return;
  const left = lacksInodes ? 'it has no inodes left' : `${size(bfree * bsize)} are left on it`;
  throw unusable(device, `it is full: ${left}`, 'remove something from it, or name another one');
}
