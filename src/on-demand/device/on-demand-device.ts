import path from 'node:path';
import { printable } from '../../console/printable.ts';
import { RdpullError } from '../../console/rdpull-error.ts';
import { realPath } from '../../expose/image-file.ts';
import { type AttachedLoopDevice, loopRefBytes } from '../../expose/loop-device.ts';
import { removeLoopRefFile, writeLoopRefFile } from '../../expose/loop-ref-file.ts';
import { loopNumber } from '../../expose/loop-sysfs.ts';
import { encodeLinkName } from '../../request/device-link-name.ts';
import type { ImageCache } from '../cache/image-cache.ts';
import type { FuseFile } from '../fuse/fuse-file.ts';
import { type DeviceUse, useOfDevice } from './device-use.ts';
import { identifyCachedImage, onDemandLayout } from './image-layout.ts';
import type { Outcome, Task } from './tasks.ts';

export interface OnDemandOptions {
  /** As the fetcher's: its reads of the partition table are among the first. */
  readonly want: (offset: number, length: number) => Promise<void>;
  /** The name under /dev/disk/by-loop-ref; the name of the file unless given. */
  readonly name?: string;
  /** Is told what the user should know although it is no failure. */
  readonly warn: (message: string) => void;
}

/** A loop device whose image is not all there. Read-only. */
export interface OnDemandDevice extends AttachedLoopDevice {
  /** What it is used for at the moment. */
  use(): DeviceUse;
  /** Whether it is used for anything: what is mounted has to be unmounted before {@link detach}. */
  isMounted(): boolean;
  /**
   * Puts the complete image, as a plain file, under the device: from then on nothing needs this process. Whatever is mounted from a
   * partition goes on. Where nothing is mounted, the partitions are away for a moment: whoever is about to mount one had better be waited
   * for.
   *
   * @param path of the complete image
   * @throws RdpullError target-busy when the device itself is mounted, by a file system that would take it for a loss of its disk;
   *   loop-failed, file-unreadable. The device goes on as before then
   */
  handOver(path: string): Promise<void>;
  /** @throws RdpullError target-busy while it is used, loop-not-attached, loop-failed */
  detach(): Promise<void>;
}

/**
 * Attaches a file whose bytes come when they are read. Its partitions are made from a table that is read from the cache; of the device
 * itself, the kernel reads that table and its copy at the end. Then lets go of the file: that ends with the device, by {@link OnDemandDevice.handOver} or when anybody detaches it.
 *
 * @throws RdpullError image-unrecognised, bad-argument, not-root, loop-missing, loop-failed, what `want` rejects with; no device and no
 *   partition remains then, and the file is still the caller's
 */
export async function attachOnDemand(
  file: FuseFile,
  cache: ImageCache,
  { want, name = path.basename(file.path), warn }: OnDemandOptions,
): Promise<OnDemandDevice> {
  const loopRef = new Uint8Array(loopRefBytes(name, warn));
  const found = await identifyCachedImage(cache, want, file.path);
  for (const oddity of found.oddities ?? [])
    warn(`${printable(file.path)}: damaged partition table: ${oddity}`);
  const layout = onDemandLayout(found, cache.size);
  // udev looks for it as soon as there is a device.
  writeLoopRefFile(file.path, encodeLinkName(name), warn);
  let attached: AttachedLoopDevice;
  try {
    attached = await bind({
      path: file.path,
      fd: file.fd,
      layout,
      readOnly: true,
      // Else it does one read after the other, and one that waits for a server holds up all of them.
      directIo: true,
      // systemd dissects no disk whose partitions the kernel does not look for (root=dissect). It would not find ours in a file system.
      scansPartitions: layout.kind !== 'file-system',
      loopRef,
    });
  } catch (error) {
    removeLoopRefFile(file.path);
    throw error;
  }
  file.release();
  if (!attached.directIo) {
    warn(
      `the kernel reads ${printable(file.path)} through its page cache: one slow read holds up all others`,
    );
  }
  return deviceOf(attached, { path: file.path, size: cache.size, name, warn });
}

/** What is to be known of the file that is attached. */
interface Origin extends Required<Pick<OnDemandOptions, 'name' | 'warn'>> {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
}

function deviceOf(attached: AttachedLoopDevice, origin: Origin): OnDemandDevice {
  const { device, partitions } = attached;
  const use = () => useOfDevice(loopNumber(device));
  let isDetached = false;
  return {
    ...attached,
    use,
    isMounted: () => use().kind !== 'none',
    async handOver(path) {
      const used = use();
      if (used.kind === 'whole' && !used.survives) throw cannotHandOver(device, used.what);
      // Before udev looks at what has changed.
      const backingFile = realPath(path);
      writeLoopRefFile(backingFile, encodeLinkName(origin.name), origin.warn);
      const isPartitionUsed = used.kind === 'partition';
      await inThread({
        kind: 'change',
        request: { device, partitions, isPartitionUsed, path, size: origin.size },
      });
      if (backingFile !== origin.path) removeLoopRefFile(origin.path);
    },
    async detach() {
      // Its number may be another device's by now.
      if (isDetached) return;
      await inThread({ kind: 'detach', device });
      isDetached = true;
      removeLoopRefFile(origin.path);
    },
  };
}

function cannotHandOver(device: string, what: string): RdpullError {
  return new RdpullError(
    'target-busy',
    `the image under ${device} is complete, and cannot take its place: ${what}, and not a partition of it`,
    `mount ${device}p1 instead: it holds the same; until then this process goes on`,
  );
}

async function bind(request: Extract<Task, { kind: 'bind' }>['request']): Promise<AttachedLoopDevice> {
  const outcome = await inThread({ kind: 'bind', request });
  if (outcome.attached === undefined) throw new Error('the worker has attached nothing');
  return outcome.attached;
}

/** Has a thread carry out a task: this one would wait for reads that wait for it. */
async function inThread(task: Task): Promise<Extract<Outcome, { kind: 'done' }>> {
  const worker = new Worker(new URL('./device-worker.ts', import.meta.url).href, { smol: true });
  try {
    const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
    worker.onmessage = ({ data }: MessageEvent<Outcome>) => resolve(data);
    worker.onerror = (event) => reject(RdpullError.from(event.error ?? new Error(event.message)));
    worker.postMessage(task);
    const outcome = await promise;
    if (outcome.kind === 'failed') throw RdpullError.fromRecord(outcome.error);
    return outcome;
  } finally {
    worker.terminate();
  }
}
