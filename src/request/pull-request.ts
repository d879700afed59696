import { type ImageClass, type ImageType, imageDirectory, imagePath } from './image-class.ts';
import { deriveImageName } from './image-name.ts';
import { formatNvmeUrl, type NvmeUrl } from './nvme-url.ts';
import { formatReference, nameOfImage, type OciReference } from './oci-reference.ts';
import type { OnDemand } from './on-demand.ts';
import type { RootOverlay } from './root-overlay.ts';
import type { VerifyMode } from './verify-mode.ts';

/** Where an image is to come from. The texts of the first two may hold placeholders, which are replaced when it is pulled. */
export type Remote =
  | { readonly kind: 'url'; readonly url: string }
  /** The file `name` beside what this machine was booted from; without a name, the image called like the UKI. */
  | { readonly kind: 'bootorigin'; readonly name: string | undefined; readonly dhcp?: DhcpUse }
  /** A container image, of the type oci alone. */
  | { readonly kind: 'registry'; readonly reference: OciReference }
  /** A disk that stays on the server: of the URL, or where that names none, of what this machine was booted from. Of the type raw alone. */
  | { readonly kind: 'nvme'; readonly url: NvmeUrl; readonly dhcp?: DhcpUse };

/** What DHCP's word on where to boot from is for: when the firmware says nothing, or alone. Without it, the firmware's alone counts. */
export type DhcpUse = 'fallback' | 'only';

/** What was written behind the second colon. */
export function remoteText(remote: Remote): string {
  switch (remote.kind) {
    case 'url':
      return remote.url;
    case 'bootorigin':
      return remote.name ?? '';
    case 'registry':
      return formatReference(remote.reference);
    case 'nvme':
      return formatNvmeUrl(remote.url);
  }
}

/** One image that was asked for, on the kernel command line, in a credential, or on ours. */
export interface PullRequest {
  readonly remote: Remote;
  /** URLs of the same file on other servers, which may hold placeholders. */
  readonly mirrors: readonly string[];
  /** URLs of directories with the chunks of an image whose URL names an index; without any, the one beside the index. May hold placeholders. */
  readonly stores: readonly string[];
  readonly type: ImageType;
  readonly imageClass: ImageClass;
  /** The valid image name to store it as; undefined: derive it once the URL is known. */
  readonly local: string | undefined;
  readonly verify: VerifyMode;
  readonly readOnly: boolean;
  /** Attach it to a loop device afterwards. Only for raw images. */
  readonly blockdev: boolean;
  /** Begin even when the image seems to be too large for where it is to lie. */
  readonly overcommit: boolean;
  /** Attach it before it is all there, read-only; undefined: download it first. Only for raw images of the class machine. */
  readonly onDemand: OnDemand | undefined;
  /** Where what is written to it goes when it is the root of a boot, which is never written to itself then. */
  readonly overlay: RootOverlay | undefined;
  /** Tell the server how the pull fares, if it asks for that. */
  readonly report: boolean;
  /** Use an image that the firmware has left in memory, read-only, and pull when there is none. Only for raw images of the class machine. */
  readonly ramDisk: boolean;
  /** Store it below /run instead of /var/lib; undefined: as fits an initrd (true) or a host (false). */
  readonly runtime: boolean | undefined;
}

/** What a request comes down to once it is known where and on what side of the boot it runs. */
export interface ResolvedRequest {
  readonly url: string;
  readonly local: string;
  readonly directory: string;
  /** The local object: a file in `directory` for a raw image, a directory in it for a tar image. */
  readonly path: string;
}

/**
 * Joins a request with the URL that its remote stands for on this machine.
 *
 * @throws RdpullError bad-image-name when the local name has to be derived from the URL and cannot be
 */
export function resolveRequest(request: PullRequest, url: string, inInitrd: boolean): ResolvedRequest {
  const { remote, type } = request;
  const local =
    request.local ??
    (remote.kind === 'registry' ? nameOfImage(remote.reference) : deriveImageName(url, type));
  const directory = imageDirectory(request.imageClass, request.runtime ?? inInitrd);
  return { url, local, directory, path: imagePath(directory, request.type, local) };
}
