import fs from 'node:fs';
import path from 'node:path';
import { printable, quoted } from '../console/printable.ts';
import { RdpullError, reasonOf } from '../console/rdpull-error.ts';
import { lstatAt, obstacleTo } from '../kernel/path-lookup.ts';
import { isSystemError } from '../kernel/system-error.ts';
import { ARCHITECTURES } from '../request/architecture.ts';
import { compareVersions } from '../request/version-order.ts';
import { architectureOfRoot, rootType } from './discoverable-partitions.ts';
import type { AttachedLoopDevice, AttachedPartition } from './loop-device.ts';

/** What a partition for anything is, in a GPT and in an MBR. */
const GENERIC_TYPES = ['0fc63daf-8483-4772-8e79-3d69d8477de4', '0x83'];

/** What systemd-sysupdate(8) calls a partition that an update will fill. */
const EMPTY = '_empty';

/**
 * The device with the root file system of an attached image: the partition of this architecture's root type (of
 * several, as after updates, the one whose name is the highest version), else the only one of the generic Linux type,
 * as systemd-dissect(1) chooses; or the whole device when it is one bare file system.
 *
 * @throws RdpullError image-unrecognised
 */
export function rootDevice(
  { device, kind, partitions }: Pick<AttachedLoopDevice, 'device' | 'kind' | 'partitions'>,
  architecture: NodeJS.Architecture = process.arch,
): string {
  // A partition that begins where the device does holds all of it: it is there to be mounted in its place.
  if (kind === 'file-system') return partitions.find(({ start }) => start === 0)?.path ?? device;

  const wanted = rootType(architecture);
  const filled = partitions.filter(({ name, noAuto }) => name !== EMPTY && noAuto !== true);
  const [first, ...others] = filled.filter(({ type }) => type === wanted);
  if (first !== undefined) return others.reduce(newer, first).path;

  const generic = filled.filter(({ type }) => GENERIC_TYPES.includes(type));
  if (generic.length === 1 && generic[0] !== undefined) return generic[0].path;

  const found = partitions.map(({ number, type, name }) => {
    const other = architectureOfRoot(type);
    const what = other === undefined ? type : `${type}, the root of ${ARCHITECTURES[other] ?? other}`;
    return `${number} (${what}${name ? `, ${quoted(name)}` : ''})`;
  });
  throw new RdpullError(
    'image-unrecognised',
    `none of the image's partitions is a root partition for ${ARCHITECTURES[architecture] ?? architecture}: ${found.join(', ') || 'it has none'}`,
    `give the root partition the type ${wanted ?? 'of this architecture'}, or name it: root=/dev/disk/by-loop-ref/NAME.raw-partN`,
  );
}

function newer(one: AttachedPartition, other: AttachedPartition): AttachedPartition {
  return compareVersions(other.name ?? '', one.name ?? '') > 0 ? other : one;
}

/** Others who make the same link may take the temporary one away: tries, of which each makes somebody's link. */
const ATTEMPTS = 64;

/**
 * Finds out whether there may be a link to a device: what is there already, and is no link, is somebody's.
 *
 * @throws RdpullError target-unwritable
 */
export function requireLinkPlace(link: string): void {
  const found = lstatAt(link);
  const obstacle = found === undefined ? obstacleTo(path.dirname(link)) : undefined;
  if (obstacle !== undefined) throw noLink(link, `${printable(obstacle)} is not a directory`);
  if (found === undefined || found.isSymbolicLink()) return;
  throw noLink(link, `${found.isDirectory() ? 'a directory' : 'something that is no link'} has that name`);
}

function noLink(link: string, why: string): RdpullError {
  return new RdpullError(
    'target-unwritable',
    `the link ${printable(link)} cannot be made: ${why}`,
    'name a path where nothing is, such as /run/rdpull/root, or move away what is there',
  );
}

/**
 * Makes the symbolic link `link` to a device, in place of a link that is there; nobody ever sees it missing. Its temporary
 * name is always the same, so that what a dead process has left is used up by the next.
 *
 * @throws RdpullError target-unwritable
 */
export function linkDevice(link: string, device: string): void {
  requireLinkPlace(link);
  const temporary = path.join(path.dirname(link), `.#${path.basename(link)}`);
  for (let attempt = 1; ; attempt++) {
    try {
      fs.mkdirSync(path.dirname(link), { recursive: true });
      fs.rmSync(temporary, { force: true });
      fs.symlinkSync(device, temporary);
      fs.renameSync(temporary, link);
      return;
    } catch (error) {
      if (isSystemError(error, 'EEXIST', 'ENOENT') && attempt < ATTEMPTS) continue;
      fs.rmSync(temporary, { force: true });
      throw new RdpullError(
        'target-unwritable',
        `the link ${printable(link)} cannot be made: ${reasonOf(error)}`,
        'name a path in a directory that can be written, such as /run/rdpull/root',
        { cause: error },
      );
    }
  }
}
