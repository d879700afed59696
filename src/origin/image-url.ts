import { RdpullError } from '../console/rdpull-error.ts';
import { quotedUrl } from '../console/shown-url.ts';
import type { ImageType } from '../request/image-class.ts';
import { lastComponent, replaceComponents } from '../request/url.ts';

/** What is looked for beside a UKI when the request does not say: best first. */
const IMAGE_SUFFIXES: Record<ImageType, readonly string[]> = {
  raw: ['.raw.xz', '.raw.zst', '.raw'],
  tar: ['.tar.xz', '.tar.zst', '.tar'],
  oci: [],
};

/**
 * Where the image of a `bootorigin` request may lie, best first: the file `name` beside the UKI, or without a name
 * the files that are called like the UKI but for its `.efi`. Whether they exist is for the caller to find out; all of
 * them derive the same local name.
 *
 * @param bootUrl the UKI's URL
 * @throws RdpullError bad-url when there is no name and the boot URL does not yield one
 */
export function imageUrls(name: string | undefined, type: ImageType, bootUrl: string): readonly string[] {
  if (name !== undefined) return [replaceComponents(bootUrl, 1, name)];

  const stem = lastComponent(bootUrl)?.replace(/\.efi$/i, '') ?? '';
  if (stem === '') {
    throw new RdpullError(
      'bad-url',
      `the image cannot be named after the boot URL ${quotedUrl(bootUrl)}: it names no file`,
      "write the image's file name at the end of the pull expression, behind the second colon",
    );
  }
  return IMAGE_SUFFIXES[type].map((suffix) => replaceComponents(bootUrl, 1, stem + suffix));
}
