import { blockDevicePath } from '../request/block-device-name.ts';
import { encodeLinkName } from '../request/device-link-name.ts';
import { unitNameFromPath } from '../request/unit-name.ts';
import type { PlannedPull } from './planned-pull.ts';

/** The images that systemd-gpt-auto-generator takes for the root disk when no boot loader names another (systemd 258). */
export const ROOT_DISK = 'rootdisk';

/** The device that a `root=` or `mount.usr=` waits for; undefined when it names none. */
export function awaitedDevice(what: string): string | undefined {
  if (/^gpt-auto(?:-force)?$/.test(what)) return '/dev/gpt-auto-root';
  if (/^dissect(?:-force)?$/.test(what)) return '/dev/disk/by-designator/root';
  return blockDevicePath(what);
}

/**
 * The unit of a device.
 *
 * @throws RdpullError bad-argument or bad-image-name when there cannot be one
 */
export function deviceUnit(device: string): string {
  const prefix = 'device';
  return unitNameFromPath(prefix, device, '.device').slice(`${prefix}@`.length);
}

/** Whether it is certain that a device comes out of this image, so that there is no other way to get it. */
export function comesFrom(device: string, what: string, { request, object }: PlannedPull): boolean {
  if (!request.blockdev) return false;
  if (/^(?:gpt-auto|dissect)(?:-force)?$/.test(what)) return object.local === ROOT_DISK;
  const link = `/dev/disk/by-loop-ref/${encodeLinkName(`${object.local}.raw`)}`;
  return (
    device === link || (device.startsWith(`${link}-part`) && /^\d+$/.test(device.slice(link.length + 5)))
  );
}

/** Whether what `root=` names may lie in this image: what is certain, and what a tag names, which any device may have. */
export function mayComeFrom(what: string, pull: PlannedPull): boolean {
  const device = awaitedDevice(what);
  if (device === undefined || !pull.request.blockdev) return false;
  return comesFrom(device, what, pull) || /^[A-Z]+=/.test(what);
}
