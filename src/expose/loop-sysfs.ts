import fs from 'node:fs';
import { sysfsEntries } from '../kernel/sysfs.ts';
import { isSystemError } from '../kernel/system-error.ts';

/** What /sys/block says of loop devices (Documentation/ABI/stable/sysfs-block in the kernel's tree). */

/** `start` and `size` in bytes. */
export interface KernelPartition {
  readonly number: number;
  readonly path: string;
  /** MAJOR:MINOR */
  readonly device: string;
  readonly start: number;
  readonly size: number;
}

/** sysfs counts in these, whatever the device's own sector size. */
const SYSFS_SECTOR = 512;

export function loopDevicePath(number: number): string {
  return `/dev/loop${number}`;
}

/** The reverse of {@link loopDevicePath}. */
export function loopNumber(device: string): number {
  return Number(/^\/dev\/loop(\d+)$/.exec(device)?.[1]);
}

/** The numbers of all loop devices, bound or not, in ascending order. */
export function loopNumbers(): number[] {
  return fs
    .readdirSync('/sys/block')
    .flatMap((name) => /^loop(\d+)$/.exec(name)?.[1] ?? [])
    .map(Number)
    .toSorted((a, b) => a - b);
}

/** The path bound to the device as the kernel sees it; `undefined` when nothing is. */
export function loopBackingFile(number: number): string | undefined {
  const file = `${directory(number)}/loop/backing_file`;
  // Most machines have eight that nothing is bound to: an error for each takes longer than to ask.
  return fs.existsSync(file) ? readAttribute(file) : undefined;
}

/** What a device is bound to, told apart from a later binding of the same file. */
export interface LoopBinding {
  /** As {@link loopBackingFile}. */
  readonly backingFile: string;
  /** The kernel's count of bindings, of all devices (`diskseq`); undefined before Linux 5.15. */
  readonly sequence: string | undefined;
}

/** `undefined` when nothing is bound to the device. */
export function loopBinding(number: number): LoopBinding | undefined {
  const backingFile = loopBackingFile(number);
  if (backingFile === undefined) return undefined;
  return { backingFile, sequence: readAttribute(`${directory(number)}/diskseq`) };
}

/** Whether the kernel is to unbind the device when the last program closes it. */
export function isLoopAutoclear(number: number): boolean {
  return readAttribute(`${directory(number)}/loop/autoclear`) === '1';
}

/** Whether the device cannot be opened for writing: a free one may be what it was when something was bound to it. */
export function isLoopReadOnly(number: number): boolean {
  return readAttribute(`${directory(number)}/ro`) === '1';
}

/** MAJOR:MINOR of the whole device. */
export function loopDeviceNumber(number: number): string | undefined {
  return readAttribute(`${directory(number)}/dev`);
}

/** Logical sector size in bytes. */
export function loopSectorSize(number: number): number {
  return Number(readAttribute(`${directory(number)}/queue/logical_block_size`));
}

/** The partitions that the kernel has at the moment, whoever made them. */
export function loopPartitions(number: number): KernelPartition[] {
  return sysfsEntries(directory(number))
    .filter((name) => name.startsWith(`loop${number}p`))
    .flatMap((name) => {
      const partition = `${directory(number)}/${name}`;
      const partitionNumber = readAttribute(`${partition}/partition`);
      const device = readAttribute(`${partition}/dev`);
      if (partitionNumber === undefined || device === undefined) return [];
      return {
        number: Number(partitionNumber),
        path: `/dev/${name}`,
        device,
        start: Number(readAttribute(`${partition}/start`)) * SYSFS_SECTOR,
        size: Number(readAttribute(`${partition}/size`)) * SYSFS_SECTOR,
      };
    })
    .toSorted((a, b) => a.number - b.number);
}

/** What is stacked on the device or on one of its partitions: `dm-0 (root)` for a device-mapper device of that name. */
export function loopHolders(number: number): string[] {
  return [
    ...loopDiskHolders(number),
    ...loopPartitions(number).flatMap(({ path }) => holdersOf(`${directory(number)}/${path.slice(5)}`)),
  ];
}

/** What is stacked on the device itself. */
export function loopDiskHolders(number: number): string[] {
  return holdersOf(directory(number));
}

function holdersOf(node: string): string[] {
  return sysfsEntries(`${node}/holders`).map((holder) => {
    const name = readAttribute(`/sys/block/${holder}/dm/name`);
    return name === undefined ? holder : `${holder} (${name})`;
  });
}

/** Has udev look at a partition (again): uevent of Documentation/ABI/testing/sysfs-uevent. */
export function announceLoopPartition(number: number, partition: number): void {
  fs.writeFileSync(`${directory(number)}/loop${number}p${partition}/uevent`, 'change');
}

function directory(number: number): string {
  return `/sys/block/loop${number}`;
}

/** Devices come and go while one reads: an attribute that is not there any more is no error. */
function readAttribute(path: string): string | undefined {
  try {
    return fs.readFileSync(path, 'utf8').replace(/\n$/, '');
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENODEV', 'ENXIO')) return undefined;
    throw error;
  }
}
