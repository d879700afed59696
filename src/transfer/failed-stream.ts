import { size } from '../console/quantity.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { shownUrl } from '../console/shown-url.ts';
import type { MirroredSource } from '../source/mirrored-source.ts';
import type { ExpectedSize } from './expected-size.ts';

/** Where the bytes come from, as it was asked for; of several places the first. */
export function originOf(source: Pick<MirroredSource, 'origins' | 'url'>): string {
  const [origin] = source.origins();
  return origin?.url ?? source.url;
}

/** A decoder knows what is wrong with the stream, but not whose stream it is. */
export function aboutUrl(url: string, error: unknown): unknown {
  if (!(error instanceof RdpullError)) return error;
  const shown = shownUrl(url);
  const { family } = error;
  const isSources = family === 'network' || (family === 'http' && error.code !== 'http-web-page');
  if (isSources || error.message.includes(shown)) return error;
  return new RdpullError(error.code, `${shown}: ${error.message}`, error.hint, { cause: error });
}

/** What was written until the target was full says little without what would have been written in all. */
export function aboutSize({ uncompressed, exact }: ExpectedSize, error: unknown): unknown {
  if (!(error instanceof RdpullError) || error.code !== 'disk-full' || uncompressed === 0) return error;
  const message = `${error.message}; the image is ${exact ? '' : 'at least '}${size(uncompressed)} after decompression`;
  return new RdpullError(error.code, message, error.hint, { cause: error });
}
