import fs from 'node:fs';
import { lockFile } from './file-lock.ts';
import { addressOf, checked, libc, retryInterrupted } from './libc.ts';
import { isSystemError } from './system-error.ts';

/**
 * NVMe over Fabrics: the device of drivers/nvme/host/fabrics.c, to which the options of a controller are written as one line, and which
 * says the number of that when it is read again.
 */
export const NVME_FABRICS = '/dev/nvme-fabrics';

/** Bytes of a page: what the kernel takes, and says, at most. */
const ANSWER_MAX = 4096;

/** include/uapi/linux/nvme_ioctl.h: _IOWR('N', 0x41, struct nvme_passthru_cmd). */
const NVME_IOCTL_ADMIN_CMD = 0xc0484e41n;

/** Offsets of struct nvme_passthru_cmd, 72 bytes. */
const COMMAND = {
  opcode: 0,
  nsid: 4,
  addr: 24,
  data_len: 36,
  cdw10: 40,
  cdw11: 44,
  cdw12: 48,
  cdw13: 52,
  timeout_ms: 64,
  size: 72,
} as const;

const { ioctl } = libc({ ioctl: { args: ['i32', 'u64', 'ptr'], returns: 'i32' } });

/** How long the attempts of others may take, in ms: the kernel gives up a host that does not answer after two minutes. */
const TURN_PATIENCE = 300_000;

/**
 * Waits until no other rdpull connects: the kernel does one after the other anyway, and what it says meanwhile is of one of them then.
 *
 * @throws Error of the kernel's: `ENOENT` without the module; the reason of the signal
 */
export async function fabricsTurn(signal: AbortSignal): Promise<AsyncDisposable> {
  const device = await fs.promises.open(NVME_FABRICS, 'r+');
  try {
    await lockFile(device.fd, TURN_PATIENCE, signal);
    return device;
  } catch (error) {
    await device.close();
    throw error;
  }
}

/**
 * Connects a controller; the kernel waits for the server meanwhile, in a thread of its own.
 *
 * @param options as `nvmf_create_ctrl()` takes them: `transport=tcp,traddr=...`
 * @returns its number: of /dev/nvme3 the 3
 * @throws Error of the kernel's: `ENOENT` without the module, `EALREADY` when it is connected, `EIO` when the server refuses
 */
export async function connectController(options: string): Promise<number> {
  const device = await fs.promises.open(NVME_FABRICS, 'r+');
  try {
    await device.write(options);
    const [, instance] = /\binstance=(\d+)/.exec(await readLine(device)) ?? [];
    if (instance === undefined) throw new Error(`${NVME_FABRICS} says no number of a controller`);
    return Number(instance);
  } finally {
    await device.close();
  }
}

/** The options that this kernel knows, by their names; undefined before Linux 5.17, which does not say. */
export async function knownFabricsOptions(): Promise<ReadonlySet<string> | undefined> {
  const device = await fs.promises.open(NVME_FABRICS, 'r+');
  try {
    const line = await readLine(device);
    return new Set(line.split(',').map((option) => option.trim().replace(/=.*$/s, '')));
  } catch (error) {
    if (isSystemError(error, 'EINVAL')) return undefined;
    throw error;
  } finally {
    await device.close();
  }
}

async function readLine(device: fs.promises.FileHandle): Promise<string> {
  const { buffer, bytesRead } = await device.read(Buffer.alloc(ANSWER_MAX), 0, ANSWER_MAX, 0);
  return buffer.toString('latin1', 0, bytesRead);
}

/** A command for a controller itself: NVM Express Base Specification, chapter 5. */
export interface AdminCommand {
  readonly opcode: number;
  readonly namespace?: number;
  /** Command dwords 10 to 13. */
  readonly dwords: readonly [number, number?, number?, number?];
  /** Bytes that it answers. */
  readonly length: number;
}

/** How long a controller may take for a command, in ms. */
const COMMAND_PATIENCE = 10_000;

/**
 * Has a controller answer a command that reads.
 *
 * @param fd of /dev/nvme3
 * @returns the data, or the status with which the controller has refused the command
 * @throws SystemCallError
 */
export function adminCommand(
  fd: number,
  { opcode, namespace = 0, dwords, length }: AdminCommand,
): Uint8Array | number {
  const data = new Uint8Array(length);
  const command = new Uint8Array(COMMAND.size);
  const view = new DataView(command.buffer);
  const [cdw10, cdw11 = 0, cdw12 = 0, cdw13 = 0] = dwords;
  view.setUint8(COMMAND.opcode, opcode);
  view.setUint32(COMMAND.nsid, namespace, true);
  view.setBigUint64(COMMAND.addr, addressOf(data), true);
  view.setUint32(COMMAND.data_len, length, true);
  view.setUint32(COMMAND.cdw10, cdw10, true);
  view.setUint32(COMMAND.cdw11, cdw11, true);
  view.setUint32(COMMAND.cdw12, cdw12, true);
  view.setUint32(COMMAND.cdw13, cdw13, true);
  view.setUint32(COMMAND.timeout_ms, COMMAND_PATIENCE, true);
  const status = retryInterrupted(() =>
    checked('ioctl(NVME_IOCTL_ADMIN_CMD)', ioctl(fd, NVME_IOCTL_ADMIN_CMD, command)),
  );
  return status === 0 ? data : status;
}
