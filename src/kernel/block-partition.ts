import { addressOf, checked, libc, retryInterrupted } from './libc.ts';

/**
 * Partitions made by hand: the BLKPG ioctl of include/uapi/linux/blkpg.h. It works on kernels that know no
 * partition table format, and on devices that are not scanned.
 */
const BLKPG = 0x1269n; // _IO(0x12, 105)
const BLKPG_ADD_PARTITION = 1;
const BLKPG_DEL_PARTITION = 2;

/** struct blkpg_ioctl_arg: op, flags, datalen, (padding,) data. */
const ARGUMENT_SIZE = 24;
/** struct blkpg_partition: start, length, pno, devname[64], volname[64], (padding). */
const PARTITION_SIZE = 152;

const { ioctl } = libc({ ioctl: { args: ['i32', 'u64', 'ptr'], returns: 'i32' } });

/**
 * Makes partition `number` of the whole device `diskFd`, `start` and `size` in bytes. On a devtmpfs its node is
 * there on return.
 *
 * @throws SystemCallError `EBUSY` when the number is taken or the area overlaps another partition
 */
export function addBlockPartition(diskFd: number, number: number, start: bigint, size: bigint): void {
  blockPartition(diskFd, 'BLKPG_ADD_PARTITION', BLKPG_ADD_PARTITION, number, start, size);
}

/** @throws SystemCallError `ENXIO` when there is no such partition, `EBUSY` while somebody has it open */
export function deleteBlockPartition(diskFd: number, number: number): void {
  blockPartition(diskFd, 'BLKPG_DEL_PARTITION', BLKPG_DEL_PARTITION, number, 0n, 0n);
}

function blockPartition(
  diskFd: number,
  name: string,
  operation: number,
  number: number,
  start: bigint,
  size: bigint,
): void {
  // One buffer for both structures, so that what `data` points at cannot be collected before the call.
  const request = new Uint8Array(ARGUMENT_SIZE + PARTITION_SIZE);
  const view = new DataView(request.buffer);
  view.setInt32(0, operation, true);
  view.setInt32(8, PARTITION_SIZE, true);
  view.setBigUint64(16, addressOf(request) + BigInt(ARGUMENT_SIZE), true);
  view.setBigInt64(ARGUMENT_SIZE, start, true);
  view.setBigInt64(ARGUMENT_SIZE + 8, size, true);
  view.setInt32(ARGUMENT_SIZE + 16, number, true);
  retryInterrupted(() => checked(`ioctl(${name})`, ioctl(diskFd, BLKPG, request)));
}
