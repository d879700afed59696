import fs from 'node:fs';
import path from 'node:path';
import { printable } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { isClaimed } from '../kernel/block-device.ts';
import { formatNvmeUrl, type NvmeUrl } from '../request/nvme-url.ts';
import {
  type Controller,
  controllersOf,
  deleteController,
  namespacesOf,
  tcpControllers,
} from './controllers.ts';
import { forgetDisks } from './device-links.ts';
import { resolveHost } from './resolve-host.ts';

/** What was detached. */
export interface DetachedNamespace {
  readonly device: string;
  readonly url: string;
}

/** How long a controller may take to end, in ms. */
const PATIENCE = 10_000;

/**
 * Disconnects a disk.
 *
 * @param device `/dev/nvme0n1`
 * @throws RdpullError bad-argument, nvme-not-attached, target-busy
 */
export async function detachDisk(device: string, signal: AbortSignal): Promise<DetachedNamespace> {
  const name = path.basename(device);
  if (/p\d+$/.test(name)) {
    throw new RdpullError(
      'bad-argument',
      `${device} is a partition and cannot be detached by itself`,
      `name the whole device: ${device.replace(/p\d+$/, '')}`,
    );
  }
  const controllers = controllersOf(name);
  if (controllers.length === 0) throw notAttached(`${device} is no disk of an NVMe server`);
  return detach(controllers, signal);
}

/**
 * Disconnects what a URL names: all of it that is written there has to fit, and only one disk may.
 *
 * @throws RdpullError host-unknown, nvme-not-attached, target-busy
 */
export async function detachUrl(url: NvmeUrl, signal: AbortSignal): Promise<DetachedNamespace> {
  const addresses = url.host === undefined ? undefined : await resolveHost(url.host);
  const fitting = tcpControllers().filter(
    ({ address, port, nqn }) =>
      (addresses === undefined || addresses.includes(address)) &&
      (url.port === undefined || url.port === port) &&
      (url.nqn === undefined || url.nqn === nqn),
  );
  const [first] = fitting;
  if (first === undefined) throw notAttached(`nothing of ${formatNvmeUrl(url)} is attached`);
  if (new Set(fitting.map(({ nqn }) => nqn)).size > 1) {
    throw new RdpullError(
      'bad-argument',
      `several subsystems of ${formatNvmeUrl(url)} are attached: ${fitting.map(urlOf).join(', ')}`,
      'name one',
    );
  }
  return detach(fitting, signal);
}

async function detach(controllers: readonly Controller[], signal: AbortSignal): Promise<DetachedNamespace> {
  const [first] = controllers;
  if (first === undefined) throw new Error('there is no controller');
  const disks = [
    ...new Set(controllers.flatMap(({ instance }) => namespacesOf(instance).map(({ name }) => name))),
  ];
  for (const disk of disks) requireUnused(`/dev/${disk}`);
  for (const { instance } of controllers) deleteController(instance);
  const deadline = performance.now() + PATIENCE;
  while (disks.some((disk) => fs.existsSync(`/sys/block/${disk}`)) && performance.now() < deadline) {
    signal.throwIfAborted();
    await Bun.sleep(20);
  }
  forgetDisks(first.nqn);
  return { device: disks.map((disk) => `/dev/${disk}`).join(', '), url: urlOf(first) };
}

function requireUnused(device: string): void {
  if (!isClaimed(device)) return;
  throw new RdpullError(
    'target-busy',
    `${printable(device)} cannot be detached: it is mounted, or in use otherwise`,
    `find out where: lsblk ${device}; then umount it`,
  );
}

function urlOf({ address, port, nqn }: Controller): string {
  return formatNvmeUrl({ host: address, port, nqn, namespace: undefined });
}

function notAttached(message: string): RdpullError {
  return new RdpullError(
    'nvme-not-attached',
    message,
    'see what is attached: lsblk, and cat /sys/class/nvme/nvme*/address',
  );
}
