import fs from 'node:fs';
import { sysfsEntries } from '../kernel/sysfs.ts';
import { isSystemError } from '../kernel/system-error.ts';
import { canonicalAddress } from './portal.ts';

/** What sysfs says of NVMe controllers and their namespaces (drivers/nvme/host/sysfs.c). */
const CONTROLLERS = '/sys/class/nvme';

/** sysfs counts in these. */
const SYSFS_SECTOR = 512;

/** A controller that is connected over TCP. */
export interface Controller {
  readonly instance: number;
  readonly nqn: string;
  readonly address: string;
  readonly port: number;
  /** `live`, `connecting` and their like. */
  readonly state: string;
}

/** A namespace as this machine has it. */
export interface NamespaceDisk {
  /** `nvme0n1` */
  readonly name: string;
  readonly nsid: number;
  /** Hexadecimal digits; undefined where it has none of that kind. */
  readonly uuid: string | undefined;
  readonly eui: string | undefined;
  readonly nguid: string | undefined;
  /** Bytes. */
  readonly size: number;
}

/** A partition that the kernel has; `start` and `size` in bytes. */
export interface DiskPartition {
  readonly number: number;
  readonly name: string;
  readonly start: number;
  readonly size: number;
}

/** All controllers over TCP, the one that was connected first first. */
export function tcpControllers(): Controller[] {
  return sysfsEntries(CONTROLLERS)
    .flatMap((name) => {
      const instance = /^nvme(\d+)$/.exec(name)?.[1];
      return instance === undefined ? [] : (tcpController(Number(instance)) ?? []);
    })
    .toSorted((a, b) => a.instance - b.instance);
}

/** undefined when there is no such controller, or it is none over TCP */
function tcpController(instance: number): Controller | undefined {
  const attribute = (name: string) => read(`${controllerDirectory(instance)}/${name}`);
  const address = attribute('address') ?? '';
  const option = (name: string) => new RegExp(`(?:^|,)${name}=([^,]*)`).exec(address)?.[1] ?? '';
  const nqn = attribute('subsysnqn');
  if (attribute('transport') !== 'tcp' || nqn === undefined) return undefined;
  return {
    instance,
    nqn,
    address: canonicalAddress(option('traddr')),
    port: Number(option('trsvcid')),
    state: attribute('state') ?? '',
  };
}

/** The namespaces that a controller leads to, by their numbers. Of several controllers of a subsystem, each leads to the same disks. */
export function namespacesOf(instance: number): NamespaceDisk[] {
  return sysfsEntries(controllerDirectory(instance))
    .flatMap((entry) => {
      // With multipath, what lies below the controller is a path (nvme0c1n1), and the disk is that of the subsystem (nvme0n1).
      const [, subsystem, namespace] = /^nvme(\d+)(?:c\d+)?n(\d+)$/.exec(entry) ?? [];
      return subsystem === undefined ? [] : (namespaceDisk(`nvme${subsystem}n${namespace}`) ?? []);
    })
    .toSorted((a, b) => a.nsid - b.nsid);
}

/** undefined when there is no such disk (any more) */
function namespaceDisk(name: string): NamespaceDisk | undefined {
  const attribute = (key: string) => read(`/sys/block/${name}/${key}`);
  const nsid = Number(attribute('nsid'));
  if (!Number.isInteger(nsid) || nsid < 1) return undefined;
  const hex = (key: string) => {
    const digits =
      attribute(key)
        ?.replaceAll(/[^0-9a-f]/gi, '')
        .toLowerCase() ?? '';
    return /^0*$/.test(digits) ? undefined : digits;
  };
  return {
    name,
    nsid,
    uuid: hex('uuid'),
    eui: hex('eui'),
    nguid: hex('nguid'),
    size: Number(attribute('size')) * SYSFS_SECTOR,
  };
}

/** The controllers that lead to a disk. */
export function controllersOf(disk: string): Controller[] {
  return tcpControllers().filter(({ instance }) => namespacesOf(instance).some(({ name }) => name === disk));
}

/** Whether the device itself refuses writes. */
export function isReadOnly(disk: string): boolean {
  return read(`/sys/block/${disk}/ro`) === '1';
}

/** Bytes of a logical sector. */
export function sectorSizeOf(disk: string): number {
  return Number(read(`/sys/block/${disk}/queue/logical_block_size`));
}

/** The partitions that the kernel has at the moment, whoever made them. */
export function partitionsOf(disk: string): DiskPartition[] {
  return sysfsEntries(`/sys/block/${disk}`)
    .flatMap((name) => {
      const partition = `/sys/block/${disk}/${name}`;
      const number = name.startsWith(`${disk}p`) ? read(`${partition}/partition`) : undefined;
      if (number === undefined) return [];
      return {
        number: Number(number),
        name,
        start: Number(read(`${partition}/start`)) * SYSFS_SECTOR,
        size: Number(read(`${partition}/size`)) * SYSFS_SECTOR,
      };
    })
    .toSorted((a, b) => a.number - b.number);
}

/** MAJOR:MINOR of a disk and of its partitions. */
export function deviceNumbers(disk: string): readonly string[] {
  return [disk, ...partitionsOf(disk).map(({ name }) => `${disk}/${name}`)].flatMap(
    (node) => read(`/sys/block/${node}/dev`) ?? [],
  );
}

/** Has udev look (again) at a disk and its partitions: Documentation/ABI/testing/sysfs-uevent. */
export function announceDisk(disk: string): void {
  for (const name of [disk, ...partitionsOf(disk).map((partition) => `${disk}/${partition.name}`)]) {
    try {
      fs.writeFileSync(`/sys/block/${name}/uevent`, 'change');
    } catch (error) {
      if (!isSystemError(error, 'ENOENT', 'ENODEV')) throw error;
    }
  }
}

/** Lets root alone read the secrets that a controller was connected with: sysfs shows them to everybody. */
export function hideSecrets(instance: number): void {
  for (const name of ['dhchap_secret', 'dhchap_ctrl_secret']) {
    try {
      fs.chmodSync(`${controllerDirectory(instance)}/${name}`, 0o600);
    } catch (error) {
      if (!isSystemError(error, 'ENOENT')) throw error;
    }
  }
}

/** Disconnects a controller, and with the last one of a subsystem its disks. */
export function deleteController(instance: number): void {
  try {
    fs.writeFileSync(`${controllerDirectory(instance)}/delete_controller`, '1');
  } catch (error) {
    if (!isSystemError(error, 'ENOENT', 'ENODEV')) throw error;
  }
}

function controllerDirectory(instance: number): string {
  return `${CONTROLLERS}/nvme${instance}`;
}

/** What comes and goes while one reads is no error. */
function read(path: string): string | undefined {
  try {
    return fs.readFileSync(path, 'utf8').trim();
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENODEV', 'ENXIO', 'EIO', 'EAGAIN')) return undefined;
    throw error;
  }
}
