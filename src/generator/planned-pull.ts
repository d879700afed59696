import { quoted } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { quotedUrl } from '../console/shown-url.ts';
import type { CacheRequest } from '../request/cache.ts';
import { imageDirectory, imagePath } from '../request/image-class.ts';
import { imageNameDefect, stripImageSuffixes } from '../request/image-name.ts';
import { nameOfImage } from '../request/oci-reference.ts';
import type { DhcpUse, PullRequest, ResolvedRequest } from '../request/pull-request.ts';
import { unitNameFromPath } from '../request/unit-name.ts';
import { lastComponent } from '../request/url.ts';

/** What a pull makes: all of a resolved request but the URL, which with `bootorigin` nobody knows before the boot. */
export type LocalObject = Omit<ResolvedRequest, 'url'>;

/**
 * What happens when the object exists before the pull: it fails, because nobody knows what it is; the whole unit is
 * skipped, as the object is what an earlier boot or the initrd has pulled; or it is kept, and attached.
 */
export type WhenPresent = 'fail' | 'skip' | 'keep';

/** Who asked for a pull. */
export interface PullSource {
  /** The file, for SourcePath=. */
  readonly path: string;
  /** Whether initrd and host both read it. */
  readonly isShared: boolean;
}

/** One pull that gets a unit. */
export interface PlannedPull {
  readonly request: PullRequest;
  readonly object: LocalObject;
  /** `rdpull@run-machines-root.raw.service` */
  readonly unit: string;
  readonly source: PullSource;
  /** Whether the sysroot.mount that rdpull writes mounts it. */
  readonly isRoot: boolean;
  readonly whenPresent: WhenPresent;
  /** Where it is kept, and looked for. */
  readonly cache?: CacheRequest;
}

/**
 * Where a pull leaves the link to the partition that is to be the root file system. Not below /dev: systemd would wait
 * for a device there, and not longer than 90 seconds.
 */
export const ROOT_LINK = '/run/rdpull/root';

/** Where the device with the cache is mounted: below /run, so that it stays when the real root takes over. */
export const CACHE_MOUNT = '/run/rdpull/cache';
export const CACHE_MOUNT_UNIT = 'run-rdpull-cache.mount';

/** What the image of a `bootorigin` or `dhcporigin` request is called that names neither LOCAL nor REMOTE: units need a name now. */
export const UNNAMED = { firmware: 'bootorigin', dhcp: 'dhcporigin', server: 'nvme' } as const;

/** @throws RdpullError bad-image-name */
export function planPull(request: PullRequest, inInitrd: boolean, source: PullSource): PlannedPull {
  const object = localObject(request, inInitrd);
  return {
    request,
    object,
    unit: unitNameFromPath('rdpull', object.path, '.service'),
    source,
    isRoot: false,
    whenPresent: whenPresent(request, object, source.isShared && !inInitrd),
  };
}

function whenPresent(request: PullRequest, object: LocalObject, wasInInitrd: boolean): WhenPresent {
  if (isPersistent(object)) return request.blockdev ? 'keep' : 'skip';
  return wasInInitrd ? 'skip' : 'fail';
}

/** Whether the object outlives the boot that has pulled it. */
export function isPersistent({ path }: LocalObject): boolean {
  return !path.startsWith('/run/');
}

/**
 * What a request makes on this side of the boot.
 *
 * @throws RdpullError bad-image-name when there is no LOCAL and REMOTE yields none
 */
export function localObject(request: PullRequest, inInitrd: boolean): LocalObject {
  const local = request.local ?? derivedName(request);
  const directory = imageDirectory(request.imageClass, request.runtime ?? inInitrd);
  return { local, directory, path: imagePath(directory, request.type, local) };
}

/** The name that the URL will yield, whatever the machine is booted from: the file takes the place of the UKI's. */
function derivedName({ remote, type }: PullRequest): string {
  if (remote.kind === 'bootorigin' && remote.name === undefined) return nameOfOrigin(remote.dhcp);
  if (remote.kind === 'nvme')
    return remote.url.host === undefined ? nameOfOrigin(remote.dhcp) : UNNAMED.server;
  if (remote.kind === 'registry') return nameOfImage(remote.reference);
  const url = remote.kind === 'url' ? remote.url : `http://host/${remote.name}`;
  const name = stripImageSuffixes(lastComponent(url) ?? '', type);
  const defect = imageNameDefect(name);
  if (defect === undefined) return name;
  throw new RdpullError(
    'bad-image-name',
    `no local name can be derived from ${quotedUrl(remote.kind === 'url' ? url : (remote.name ?? ''))}: ` +
      `${quoted(name)}, which is what remains of it, ${defect}`,
    'write a local name between the first and the second colon',
  );
}

function nameOfOrigin(dhcp: DhcpUse | undefined): string {
  return dhcp === 'only' ? UNNAMED.dhcp : UNNAMED.firmware;
}
