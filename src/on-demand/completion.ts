import { printable } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import type { SourceOptions } from '../source/source.ts';
import { requirePromise } from '../transfer/promise.ts';
import { publishImage } from '../transfer/publish-image.ts';
import type { Attachment } from './attachment.ts';
import type { DeviceUse } from './device/device-use.ts';
import type { BlockFetcher } from './fetch/block-fetcher.ts';
import type { FuseFile } from './fuse/fuse-file.ts';
import type { ShownImage } from './shown-image.ts';

/**
 * At boot the root is mounted next. So long, in ms, what nobody reads waits for that: of the few reads that it takes, each would wait for a
 * request of the fill.
 */
const MOUNT_PATIENCE = 5000;

/**
 * Returns when all of the image is there.
 *
 * @returns SHA-256 of the file as served, where that is known
 * @throws RdpullError when it will never be: at once, or where it is mounted, when it is no longer
 */
export async function filled(
  fetcher: BlockFetcher,
  file: FuseFile,
  attachment: Attachment,
  { pull, pulse, observer }: ShownImage,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { device } = attachment;
  const gone = file.ended.then(() => {
    const { present, size } = fetcher.figures;
    throw new RdpullError(
      'loop-not-attached',
      `${device.device} was detached before all of the image was there (${Math.floor((present * 100) / size)} %)`,
      'pull it again',
    );
  });
  gone.catch(() => undefined);
  const aborted = abortion(signal);
  const fill = async () => {
    const deadline = performance.now() + (pull.unit === undefined ? 0 : MOUNT_PATIENCE);
    const isTime = () => performance.now() >= deadline || attachment.hasBeenMounted();
    await pulse.until(isTime, gone, signal);
    return await fetcher.fill();
  };
  try {
    return await Promise.race([pull.onDemand.fillRate === 0 ? aborted : fill(), gone, aborted]);
  } catch (error) {
    signal.throwIfAborted();
    const failure = RdpullError.from(error);
    // What is there can be read on, but for what is known to be wrong.
    if (failure.code === 'checksum-mismatch' || failure.code === 'internal' || !device.isMounted())
      throw failure;
    observer.broken(failure);
    await pulse.until(() => !device.isMounted(), gone, signal);
    throw failure;
  }
}

/** Rejects when the signal is aborted. */
function abortion(signal: AbortSignal): Promise<never> {
  const rejected = new Promise<never>((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  rejected.catch(() => undefined);
  return rejected;
}

/** Checks the whole, and gives it its name. */
export async function complete(
  sha256: string | undefined,
  { pull, demand, image, staging, room, survivor, observer }: ShownImage,
  options: SourceOptions,
): Promise<void> {
  const { promised } = demand;
  const { map, location, lastModified } = image;
  if (promised !== undefined) {
    if (sha256 === undefined) throw new Error('the digest of the image is not known');
    requirePromise(location.url, promised, { sha256, bytes: image.size ?? 0 });
  }
  survivor?.follow();
  const { target, force, sideFiles } = pull;
  const from = { url: location.url, server: location, lastModified };
  const publication = { target, force, sideFiles, readOnly: true };
  await publishImage(staging, publication, from, demand, options, observer.warn);
  room.settle({ bytes: map.size, entries: 1 });
}

/**
 * The device gets the plain file. Its partitions are away for a moment where nobody has one of them mounted: at boot, where systemd is
 * about to do that, it is waited for.
 *
 * @returns false when somebody has detached it instead
 */
export async function handOver(
  file: FuseFile,
  attachment: Attachment,
  { pull, pulse, observer }: ShownImage,
  signal: AbortSignal,
): Promise<boolean> {
  const { device } = attachment;
  let told = '';
  const isReady = () => {
    const use = device.use();
    const waits = waitsFor(use, pull.unit !== undefined);
    if (waits === undefined) return true;
    if (told !== waits)
      observer.waiting(`${device.device} has all of the image, and is handed over when ${waits}`);
    told = waits;
    return false;
  };
  if (!(await pulse.until(isReady, file.ended, signal))) {
    attachment.isDone = true;
    observer.warn(`${device.device} was detached; ${printable(pull.target)} is complete`);
    return false;
  }
  await device.handOver(pull.target);
  attachment.isDone = true;
  await file.ended;
  return true;
}

/** What has to happen first; undefined: nothing. */
function waitsFor(use: DeviceUse, isMountedSoon: boolean): string | undefined {
  if (use.kind === 'none') return isMountedSoon ? 'it is mounted' : undefined;
  if (use.kind === 'whole' && !use.survives) return `it is unmounted (${use.what}, and no partition of it)`;
  return undefined;
}
