import fs from 'node:fs';
import { printable } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { imageBytes } from '../expose/image-bytes.ts';
import { type ImageLayout, identifyImage } from '../expose/image-layout.ts';
import type { Partition } from '../expose/partition-table.ts';
import { isClaimed, setBlockDeviceReadOnly } from '../kernel/block-device.ts';
import { addBlockPartition } from '../kernel/block-partition.ts';
import { isSystemError } from '../kernel/system-error.ts';
import { formatNamespace, type NvmeNamespace } from '../request/nvme-url.ts';
import { openController } from './admin-query.ts';
import { listed } from './choose-subsystem.ts';
import { isReadOnly, type NamespaceDisk, namespacesOf, partitionsOf, sectorSizeOf } from './controllers.ts';

/** NVM Express Base Specification, "Identify", and the list of active namespaces: 1024 numbers. */
const IDENTIFY = 0x06;
const ACTIVE_NAMESPACES = 0x02;
const LIST_SIZE = 4096;

/** How long the kernel may take to look at what a controller has, in ms, and how often one looks whether it has. */
const PATIENCE = 30_000;
const PAUSE = 20;

/** A namespace, ready to be used. */
export interface AttachedNamespace {
  /** `/dev/nvme0n1` */
  readonly device: string;
  readonly readOnly: boolean;
  /** In bytes. */
  readonly sectorSize: number;
  readonly kind: ImageLayout['kind'];
  /** The one bare file system, for `kind` `file-system`: mount(8)'s name for it. */
  readonly fileSystem?: string;
  readonly partitions: readonly (Partition & { readonly path: string })[];
}

/**
 * The disk of a namespace, as soon as the kernel has it.
 *
 * @param wanted undefined: the only one
 * @param url for messages
 * @throws RdpullError nvme-namespace-unknown, nvme-failed; the reason of the signal
 */
export async function findDisk(
  instance: number,
  wanted: NvmeNamespace | undefined,
  url: string,
  signal: AbortSignal,
): Promise<NamespaceDisk> {
  const active = activeNamespaces(instance, url);
  const numbers = listed(active.map(String));
  const unknown = (what: string, hint: string) =>
    new RdpullError('nvme-namespace-unknown', `${url}: ${what}`, hint);
  if (active.length === 0)
    throw unknown(
      'the subsystem has no namespace',
      'look at the target: is the image there, and its namespace enabled?',
    );
  if (wanted === undefined && active.length > 1) {
    throw unknown(`the subsystem has several namespaces: ${numbers}`, 'name one at the end of the URL: /1');
  }
  const nsid = wanted?.by === 'nsid' ? Number(wanted.id) : wanted === undefined ? active[0] : undefined;
  if (nsid !== undefined && !active.includes(nsid)) {
    throw unknown(`the subsystem has no namespace ${nsid}, only ${numbers}`, 'correct the end of the URL');
  }
  const isWanted = (disk: NamespaceDisk) =>
    nsid === undefined
      ? wanted !== undefined && wanted.by !== 'nsid' && disk[wanted.by] === wanted.id
      : disk.nsid === nsid;
  const disk = await until(signal, () => {
    const disks = namespacesOf(instance).filter(
      ({ name, size }) => size > 0 && fs.existsSync(`/dev/${name}`),
    );
    const found = disks.find(isWanted);
    if (found !== undefined || active.every((each) => disks.some((other) => other.nsid === each)))
      return { found };
    return undefined;
  });
  if (disk?.found !== undefined) return disk.found;
  if (wanted !== undefined && disk !== undefined) {
    throw unknown(
      `the subsystem has no namespace ${formatNamespace(wanted)}`,
      `write its number: ${numbers}`,
    );
  }
  throw new RdpullError(
    'nvme-failed',
    `${url}: the kernel has made no disk of the namespace within ${PATIENCE / 1000} s`,
    'see what it says: dmesg | grep nvme',
  );
}

/** The numbers of the namespaces that a controller leads to. */
function activeNamespaces(instance: number, url: string): readonly number[] {
  using controller = openController(instance, url);
  const answer = controller.ask(
    { opcode: IDENTIFY, dwords: [ACTIVE_NAMESPACES], length: LIST_SIZE },
    'which namespaces it has',
  );
  const view = new DataView(answer.buffer);
  const numbers: number[] = [];
  for (let at = 0; at < answer.length; at += 4) {
    const nsid = view.getUint32(at, true);
    if (nsid === 0) break;
    numbers.push(nsid);
  }
  return numbers;
}

/**
 * Makes a disk ready: read-only where that is wanted, and with all its partitions.
 *
 * @param url for messages
 * @param warn takes a line about what is damaged, and does no harm
 * @throws RdpullError image-unrecognised, file-unreadable; the reason of the signal
 */
export async function prepareDisk(
  { name, size }: NamespaceDisk,
  readOnly: boolean,
  url: string,
  { warn, signal }: { readonly warn: (text: string) => void; readonly signal: AbortSignal },
): Promise<AttachedNamespace> {
  const device = `/dev/${name}`;
  const fd = fs.openSync(device, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  try {
    if (readOnly && !isReadOnly(name)) {
      requireUnused(device);
      setBlockDeviceReadOnly(fd);
    }
    const layout = identifyImage({ ...imageBytes(fd), size }, url);
    for (const oddity of layout.oddities ?? []) warn(`${printable(url)}: damaged partition table: ${oddity}`);
    const partitions = await madePartitions(name, fd, layout, signal);
    return {
      device,
      readOnly: isReadOnly(name),
      sectorSize: sectorSizeOf(name),
      kind: layout.kind,
      ...(layout.kind === 'file-system' && { fileSystem: layout.type }),
      partitions,
    };
  } catch (error) {
    if (!isSystemError(error, 'EIO', 'ENODEV', 'ENXIO')) throw error;
    throw new RdpullError(
      'file-unreadable',
      `${url}: ${device} cannot be read`,
      'look at the target, and at what the kernel says: dmesg | grep nvme',
      { cause: error },
    );
  } finally {
    fs.closeSync(fd);
  }
}

/** A file system that is written to must not lose its disk: what was connected before may be mounted. */
function requireUnused(device: string): void {
  if (!isClaimed(device)) return;
  throw new RdpullError(
    'target-busy',
    `${device} cannot be made read-only: it is mounted, or in use otherwise`,
    `find out where: lsblk ${device}; or leave out ro`,
  );
}

/** How long the kernel may take to find the partitions by itself, in ms: where it cannot find them, only until it has looked. */
const PARTITION_PATIENCE = { likely: 3000, unlikely: 500 } as const;

/**
 * Partitions that the kernel has not found by itself are made. It may know no partition tables; and it finds none whose sectors are not
 * those of the disk, which is what a target makes of a file (those of its file system, of 4096 bytes) with a usual image in it (of 512).
 *
 * @throws RdpullError image-unrecognised, when a partition does not fit the sectors of the disk
 */
async function madePartitions(
  disk: string,
  fd: number,
  { partitions: wanted, sectorSize }: ImageLayout,
  signal: AbortSignal,
): Promise<AttachedNamespace['partitions']> {
  const made = () => {
    const there = partitionsOf(disk);
    return wanted.flatMap((partition) => {
      const found = there.find(
        ({ number, start, size }) =>
          number === partition.number && start === partition.start && size === partition.size,
      );
      return found === undefined ? [] : { ...partition, path: `/dev/${found.name}` };
    });
  };
  const all = () => {
    const found = made();
    return found.length === wanted.length && found.every(({ path }) => fs.existsSync(path))
      ? found
      : undefined;
  };
  const own = sectorSizeOf(disk);
  const patience = own === sectorSize ? PARTITION_PATIENCE.likely : PARTITION_PATIENCE.unlikely;
  const found = await until(signal, all, patience);
  if (found !== undefined) return found;
  const there = made();
  for (const { number, start, size } of wanted.filter((each) =>
    there.every((other) => other.number !== each.number),
  )) {
    if (start % own !== 0 || size % own !== 0) {
      throw new RdpullError(
        'image-unrecognised',
        `partition ${number} of /dev/${disk} (${size} bytes from ${start} on) does not fit its sectors of ${own} bytes`,
        `make the image for sectors of ${own} bytes, or serve it by a loop device with sectors of ${sectorSize} bytes: losetup --sector-size`,
      );
    }
    addBlockPartition(fd, number, BigInt(start), BigInt(size));
  }
  return (await until(signal, all)) ?? made();
}

/** What `look` finds, as soon as it is not undefined; undefined when the patience is over. */
async function until<T>(
  signal: AbortSignal,
  look: () => T | undefined,
  patience = PATIENCE,
): Promise<T | undefined> {
  const deadline = performance.now() + patience;
  for (;;) {
    signal.throwIfAborted();
    const found = look();
    if (found !== undefined || performance.now() > deadline) return found;
    await Bun.sleep(PAUSE);
  }
}
