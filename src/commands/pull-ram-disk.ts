import fs from 'node:fs';
import path from 'node:path';
import { printable } from '../console/printable.ts';
import { size as shownSize } from '../console/quantity.ts';
import { RdpullError, reasonOf } from '../console/rdpull-error.ts';
import { shownUrl } from '../console/shown-url.ts';
import type { RamDisk, RamDiskImage } from '../expose/ram-disk.ts';
import { isSystemError } from '../kernel/system-error.ts';
import { replaceComponents } from '../request/url.ts';
import type { Location } from '../source/source.ts';
import type { Promised } from '../transfer/promise.ts';
import { exposedJson, exposedLines, exposedPlaces, tellExposed } from './exposed.ts';
import { type Exposed, linkedRoot } from './exposure.ts';
import type { RamDiskJson } from './json-results.ts';
import { verifiedBy } from './pull-outcome.ts';
import { plannedTarget, targetOf } from './pull-plan.ts';
import type { Pull } from './pull-under-way.ts';
import { type FindOptions, findServedAs } from './pull-url.ts';
import { vouched } from './vouched.ts';

/** A disk that is the right one. */
interface Found {
  readonly image: RamDiskImage;
  readonly promised: Promised | undefined;
  /** Bytes of the image; what the device has behind it are zeros. */
  readonly size: number;
}

/**
 * Uses an image that the firmware has left in memory, where it is: nothing is downloaded but what vouches for it.
 *
 * @returns what became of it, in one line; undefined when there is none, or not the right one
 * @throws RdpullError target-exists, loop-failed, loop-missing, target-unwritable; the reason of the signal
 */
export async function useRamDisk(pull: Pull, finding: FindOptions): Promise<string | undefined> {
  const { plan, access, display } = pull;
  const { reporter } = display;
  const { awaitRamDisks } = await import('../expose/ram-disk.ts');
  const disks = await awaitRamDisks(access.signal);
  if (disks.length === 0) {
    reporter.info('the firmware has left no disk in memory (/dev/pmem0): going on with the download');
    return undefined;
  }
  const found = await firstRight(pull, disks, finding);
  if (found === undefined) return undefined;
  const { image, promised, size } = found;
  try {
    const target = plannedTarget(plan) ?? targetOf(plan, `file:///${UNNAMED}.raw`);
    const exposed = await expose(pull, found, target);
    tellExposed(reporter, target, exposed);
    const summary = `${printable(target)} is ${image.device}, ${shownSize(size)} that the firmware has left in memory, ${vouched(promised)}`;
    reporter.info(summary, {
      event: 'image-in-memory',
      target: printable(target),
      written: size,
      verifiedBy: verifiedBy(promised),
    });
    pull.recorder.transferred({
      url: `file://${image.device}`,
      received: 0,
      decoded: size,
      sha256: promised?.digest,
      promised,
    });
    pull.recorder.ended('done', exposedPlaces(exposed));
    const json: RamDiskJson = { target, ramDisk: image.device, size, promised, ...exposedJson(exposed) };
    reporter.result([target, ...exposedLines(exposed)], json);
    return summary;
  } finally {
    fs.closeSync(image.fd);
  }
}

/** How a checksum file lists what is attached of an ISO image. */
const PART_NAME = 'filesystem.squashfs';

/** What is promised, by its digest. */
type Promises = ReadonlyMap<string, Promised>;

/** What an image is called of which nobody says it. */
const UNNAMED = 'ramdisk';

/** The first disk that holds an image, and the one that was asked for; why the others do not is said. */
async function firstRight(
  pull: Pull,
  disks: readonly RamDisk[],
  finding: FindOptions,
): Promise<Found | undefined> {
  const { plan, display } = pull;
  const { warn } = display.reporter;
  const images = await imagesOn(disks, plan.exposure.rootLink !== undefined, warn);
  try {
    if (images.length === 0) return undefined;
    if (plan.request.verify.kind === 'no') {
      const [image] = images;
      return image === undefined ? undefined : kept(images, { image, promised: undefined, size: image.size });
    }
    const hasPart = images.some(({ part }) => part !== undefined);
    const promises = await promisesFor(pull, finding, hasPart);
    for (const image of images) {
      const found = await findVouched(pull, image, promises);
      if (found !== undefined) return kept(images, found);
      warn(
        `${image.device} in memory is not the image that was asked for: nothing vouches for its ${image.size} bytes; going on with the download`,
      );
    }
    return undefined;
  } finally {
    for (const { fd } of images) fs.closeSync(fd);
  }
}

/** What of an image somebody vouches for: the file that is the image in an ISO image, or all of it. */
async function findVouched(
  { access }: Pull,
  image: RamDiskImage,
  promises: Promises,
): Promise<Found | undefined> {
  const { findDigested } = await import('../verify/padded-digest.ts');
  const digests = new Set(promises.keys());
  const whole = { start: 0, size: image.size };
  for (const extent of image.part === undefined ? [whole] : [image.part, whole]) {
    const found = await findDigested(image.fd, extent, digests, access.signal);
    const promised = found === undefined ? undefined : promises.get(found.digest);
    if (found !== undefined && promised !== undefined) return { image, promised, size: found.size };
  }
  return undefined;
}

/** Takes the one that is used out of those that are closed at the end. */
function kept(images: RamDiskImage[], found: Found): Found {
  images.splice(images.indexOf(found.image), 1);
  return found;
}

async function imagesOn(
  disks: readonly RamDisk[],
  wantsRoot: boolean,
  warn: (text: string) => void,
): Promise<RamDiskImage[]> {
  const { openRamDisk } = await import('../expose/ram-disk.ts');
  const images: RamDiskImage[] = [];
  for (const disk of disks) {
    try {
      images.push(openRamDisk(disk, wantsRoot));
    } catch (error) {
      if (!(error instanceof RdpullError)) throw error;
      warn(`${disk.device} in memory is passed over: ${error.message}`);
    }
  }
  return images;
}

/**
 * What may be in memory, by its digest: the file that the firmware has fetched, or the one that is to be pulled, unpacked; or what is in an
 * ISO image, which a checksum file may list beside it. (Firmware writes to the ISO image: to its EFI system partition, for one.)
 */
async function promisesFor(
  { plan, access, display }: Pull,
  finding: FindOptions,
  hasPart: boolean,
): Promise<Promises> {
  const { verify } = plan.request;
  const { findPromise } = await import('../transfer/promise.ts');
  const promises = new Map<string, Promised>();
  const add = async (locations: readonly Location[], explain: (text: string) => void) => {
    try {
      const options = { ...access, login: undefined };
      const demand = await findPromise(
        locations,
        { verify, ...plan.trust },
        options,
        display.reporter.detail,
      );
      if (demand.promised !== undefined) promises.set(demand.promised.digest, demand.promised);
    } catch (error) {
      access.signal.throwIfAborted();
      if (!(error instanceof RdpullError)) throw error;
      const names = locations.map(({ url }) => shownUrl(url)).join(', ');
      explain(`whether ${names} is what lies in memory cannot be told: ${error.message}`);
    }
  };
  if (verify.kind === 'sha256') await add([], display.reporter.warn);
  else {
    const places = await findServedAs(plan.request, finding);
    for (const locations of places) await add(locations, display.reporter.warn);
    const [first = []] = places;
    const inside = first.map((each) => ({ ...each, url: replaceComponents(each.url, 1, PART_NAME) }));
    if (hasPart) await add(inside, display.reporter.detail);
  }
  return promises;
}

/** Attaches what was found, and gives it its name. */
async function expose(
  { plan, access, display }: Pull,
  { image, size }: Found,
  target: string,
): Promise<Exposed> {
  const [
    { realPath },
    { bindLoopDevice, loopRefBytes },
    { removeLoopRefFile, writeLoopRefFile },
    { encodeLinkName },
  ] = await Promise.all([
    import('../expose/image-file.ts'),
    import('../expose/loop-device.ts'),
    import('../expose/loop-ref-file.ts'),
    import('../request/device-link-name.ts'),
  ]);
  const { warn } = display.reporter;
  const name = path.basename(target);
  nameIt(target, image.device, plan.existing === 'replaced');
  const backingFile = realPath(image.device);
  writeLoopRefFile(backingFile, encodeLinkName(name), warn);
  try {
    const device = await bindLoopDevice({
      path: image.device,
      fd: image.fd,
      layout: image.layout,
      readOnly: true,
      // What is in memory need not be there twice.
      directIo: true,
      scansPartitions: true,
      loopRef: loopRefBytes(name, warn),
      part: image.part ?? { start: 0, size },
      signal: access.signal,
    });
    return await linkedRoot(device, plan.exposure.rootLink);
  } catch (error) {
    removeLoopRefFile(backingFile);
    fs.rmSync(target, { force: true });
    throw error;
  }
}

/** Makes the name of the image a link to the device. One that an earlier try has left is no other image. */
function nameIt(target: string, device: string, isReplaced: boolean): void {
  try {
    if (isLinkToMemory(target) || (isReplaced && fs.existsSync(target))) fs.rmSync(target);
    fs.mkdirSync(path.dirname(target), { recursive: true });
    fs.symlinkSync(device, target);
  } catch (error) {
    if (isSystemError(error, 'EEXIST')) {
      throw new RdpullError(
        'target-exists',
        `${printable(target)} exists already, and ${device} in memory was to get this name`,
        'replace it with --force, or take another name with --local=NAME',
        { cause: error },
      );
    }
    throw new RdpullError(
      'target-unwritable',
      `${printable(target)} cannot be made a link to ${device}: ${reasonOf(error)}`,
      'name another directory with --image-root=DIR',
      { cause: error },
    );
  }
}

function isLinkToMemory(target: string): boolean {
  try {
    return /^\/dev\/pmem\d/.test(fs.readlinkSync(target));
  } catch {
    return false;
  }
}
