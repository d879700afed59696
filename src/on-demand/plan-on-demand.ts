import { openBlockMap } from '../blocks/open-block-map.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { shownUrl } from '../console/shown-url.ts';
import { isChunkIndexUrl } from '../request/image-name.ts';
import { isFileUrl } from '../request/url.ts';
import type { Demand } from '../transfer/promise.ts';
import { blockVoucher } from './block-voucher.ts';
import { openChunkedImage } from './chunked-image.ts';
import { openPinnedSource, type PinOptions } from './fetch/pinned-source.ts';
import { imageInFile } from './image-in-file.ts';
import type { OnDemandRequest } from './on-demand-request.ts';
import type { ServedImage } from './served-image.ts';

/** What has to be known to decide it. */
export type PlanQuestion = Pick<
  OnDemandRequest,
  'locations' | 'stores' | 'seeds' | 'verify' | 'target' | 'commandLine' | 'rootLink' | 'inInitrd' | 'limits'
>;

/** How an image is read on demand, or why it is downloaded whole. */
export type OnDemandPlan = { readonly kind: 'on-demand'; readonly image: ServedImage } | WholeDownload;

/** Why an image is downloaded whole: what is in the way, with its URL, and what would help. */
export interface WholeDownload {
  readonly kind: 'whole';
  readonly what: string;
  readonly remedy: string;
}

/**
 * Looks whether an image can be read on demand: whether its blocks are vouched for, its server sends parts of it, and its
 * format has blocks. The image is asked for its first bytes, and for its index. Of one in chunks, the index vouches for each of them.
 *
 * @throws RdpullError as `openSource`; stream-unsupported, stream-corrupt, http-web-page; of an index as `openChunkedImage`
 */
export async function planOnDemand(
  pull: PlanQuestion,
  demand: Demand,
  options: PinOptions,
): Promise<OnDemandPlan> {
  const [{ url } = { url: '' }] = pull.locations;
  const whole = (reason: string, remedy: string): WholeDownload => ({
    kind: 'whole',
    what: `${shownUrl(url)} ${reason}`,
    remedy,
  });
  const { verify, target, commandLine, rootLink, inInitrd, limits } = pull;
  if (isChunkIndexUrl(url)) {
    if (isFileUrl(url)) return whole('is on this machine already', 'name an http or https URL');
    // The index is what was demanded, and tells each block by itself.
    return { kind: 'on-demand', image: await openChunkedImage(pull, demand, limits, options) };
  }
  const voucher = blockVoucher({
    ...{ verify, demand, url, target, commandLine, inInitrd },
    isMountedPlainly: rootLink !== undefined,
  });
  if (voucher.kind === 'none') return whole(voucher.reason, voucher.remedy);
  const pinned = await openPinnedSource(pull.locations, options);
  if (pinned.kind === 'whole') return whole(pinned.reason, pinned.remedy);
  const { source } = pinned;
  try {
    const found = await openBlockMap(source.start, source);
    if (found.kind === 'map') return { kind: 'on-demand', image: imageInFile(source, found.map) };
    source[Symbol.dispose]();
    return whole(found.reason, found.remedy);
  } catch (error) {
    source[Symbol.dispose]();
    throw error;
  }
}

/** What `on-demand=require` makes of it. */
export function onDemandImpossible({ what, remedy }: WholeDownload): RdpullError {
  return new RdpullError(
    'on-demand-impossible',
    `${what}: it cannot be read on demand, which on-demand=require demands`,
    `${remedy}; or leave out =require, and it is downloaded whole`,
  );
}
