import fs from 'node:fs';
import { printable } from '../console/printable.ts';
import { RdpullError, reasonOf } from '../console/rdpull-error.ts';
import { type ImageBytes, imageBytes } from './image-bytes.ts';
import { type ImageLayout, identifyImage } from './image-layout.ts';
import { type FilePart, findInIso } from './iso-9660.ts';
import { rootDevice } from './root-partition.ts';

/** A disk in memory that was there before Linux: /dev/pmem0 and its like. */
export interface RamDisk {
  /** `/dev/pmem0` */
  readonly device: string;
  /** Bytes. */
  readonly size: number;
}

/**
 * Where it is to be seen that the firmware has left something in memory, before the drivers have made devices of it: the NVDIMM Firmware
 * Interface Table (ACPI specification, section 5.2.25), which a UEFI RAM disk is in as well; the device tree
 * (Documentation/devicetree/bindings/pmem/pmem-region.txt); the ranges of type 12 of the E820 map, and those of memmap=SIZE!START.
 */
function isAnnounced(root: string): boolean {
  if (fs.existsSync(`${root}/sys/firmware/acpi/tables/NFIT`)) return true;
  try {
    if (/Persistent Memory/.test(fs.readFileSync(`${root}/proc/iomem`, 'utf8'))) return true;
  } catch {
    // Without it, what the bus has counts.
  }
  return [`${root}/proc/device-tree`, `${root}/sys/bus/nd/devices`].some((directory) =>
    namesIn(directory).some((name) => /^(?:pmem|region|namespace)/.test(name)),
  );
}

/** How long drivers are waited for, and how often it is looked whether they are ready, in ms. */
const PATIENCE = 20_000;
const PAUSE = 100;

/**
 * The disks in memory. Waits for the drivers, where something is announced and no device there yet.
 *
 * @param root where sys and proc lie
 * @throws the reason of the signal
 */
export async function awaitRamDisks(signal: AbortSignal, root = ''): Promise<readonly RamDisk[]> {
  const end = performance.now() + PATIENCE;
  for (;;) {
    const disks = findRamDisks(root);
    if (disks.length > 0 || performance.now() >= end || !isAnnounced(root)) return disks;
    await Bun.sleep(PAUSE);
    signal.throwIfAborted();
  }
}

function findRamDisks(root: string): readonly RamDisk[] {
  const directory = `${root}/sys/class/block`;
  return namesIn(directory)
    .filter((name) => /^pmem\d+(?:\.\d+)?$/.test(name))
    .sort((one, other) => one.localeCompare(other, 'en', { numeric: true }))
    .flatMap((name) => {
      const sectors = Number(textOf(`${directory}/${name}/size`));
      return sectors > 0 ? { device: `/dev/${name}`, size: sectors * SECTOR } : [];
    });
}

/** What sysfs counts in, whatever the sectors of a device are. */
const SECTOR = 512;

/** An image in memory, open. The caller closes `fd`. */
export interface RamDiskImage extends RamDisk {
  readonly fd: number;
  readonly layout: ImageLayout;
  /** What of it is the image; undefined: all of it. */
  readonly part: FilePart | undefined;
}

/** Where the root of a Debian Live system is in its ISO image (live-boot(7)). */
const LIVE_ROOT = ['live', 'filesystem.squashfs'];

/**
 * Opens a disk that holds an image, or an ISO image with one in it.
 *
 * @param wantsRoot whether there has to be a root file system in it
 * @throws RdpullError image-unrecognised, file-unreadable
 */
export function openRamDisk({ device, size }: RamDisk, wantsRoot: boolean): RamDiskImage {
  const fd = openDevice(device);
  try {
    const disk: ImageBytes = { ...imageBytes(fd), size };
    const part = findInIso(disk, LIVE_ROOT);
    const layout = identifyImage(part === undefined ? disk : partOf(disk, part), device);
    if (wantsRoot) {
      const partitions = layout.partitions.map((each) => ({ ...each, path: `${device}p${each.number}` }));
      rootDevice({ device, kind: layout.kind, partitions });
    }
    return { device, size, fd, layout, part };
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
}

function partOf(image: ImageBytes, { start, size }: FilePart): ImageBytes {
  return {
    size,
    read: (offset, length) => image.read(start + offset, Math.max(0, Math.min(length, size - offset))),
  };
}

function openDevice(device: string): number {
  try {
    return fs.openSync(device, 'r');
  } catch (error) {
    throw new RdpullError(
      'file-unreadable',
      `${printable(device)} cannot be opened: ${reasonOf(error)}`,
      'look into the kernel log with dmesg',
      { cause: error },
    );
  }
}

function namesIn(directory: string): readonly string[] {
  try {
    return fs.readdirSync(directory);
  } catch {
    return [];
  }
}

function textOf(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8').trim();
  } catch {
    return '';
  }
}
