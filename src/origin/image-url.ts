import { RdpullError } from '../console/rdpull-error.ts';
import { quotedUrl } from '../console/shown-url.ts';
import type { ImageType } from '../request/image-class.ts';
import { stripImageSuffixes } from '../request/image-name.ts';
import { lastComponent, replaceComponents } from '../request/url.ts';

/** What is looked for beside a UKI when the request does not say: best first. */
const IMAGE_SUFFIXES: Record<ImageType, readonly string[]> = {
  // systemd's own names first, and in its order: a server that has them boots what it has booted, and is asked nothing more.
  raw: ['.raw.xz', '.raw.zst', '.raw', '.raw.caibx', '.caibx'],
  tar: ['.tar.xz', '.tar.zst', '.tar'],
  oci: [],
};

/** What a boot URL is of: of a UKI, beside which the image lies; of the directory it lies in; of a file that may be the image itself. */
export type OriginKind = 'uki' | 'directory' | 'file';

/**
 * Where the image of a `bootorigin` request may lie, best first: the file `name` beside the UKI, or without a name
 * the files that are called like the UKI but for its `.efi`; or what DHCP names, when that is an image itself. Whether they
 * exist is for the caller to find out; all of them derive the same local name.
 *
 * @param bootUrl the UKI's URL
 * @param kind what the URL is of
 * @throws RdpullError bad-url when there is no name and the boot URL does not yield one
 */
export function imageUrls(
  name: string | undefined,
  type: ImageType,
  bootUrl: string,
  kind: OriginKind = 'uki',
): readonly string[] {
  if (name !== undefined) return [replaceComponents(bootUrl, kind === 'directory' ? 0 : 1, name)];

  const file = (kind === 'directory' ? undefined : lastComponent(bootUrl)) ?? '';
  if (kind === 'file' && stripImageSuffixes(file, type) !== file) return [bootUrl];
  const stem = file.replace(/\.efi$/i, '');
  if (stem === '') {
    throw new RdpullError(
      'bad-url',
      `the image cannot be named after the boot URL ${quotedUrl(bootUrl)}: it names no file`,
      "write the image's file name at the end of the pull expression, behind the second colon",
    );
  }
  return IMAGE_SUFFIXES[type].map((suffix) => replaceComponents(bootUrl, 1, stem + suffix));
}
