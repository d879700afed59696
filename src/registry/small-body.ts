import { size as shownSize } from '../console/quantity.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { shownUrl } from '../console/shown-url.ts';
import { keepBytes } from '../source/kept-bytes.ts';
import type { Source } from '../source/source.ts';

/**
 * Reads what a registry says, whole, and closes it.
 *
 * @param limit in bytes
 * @throws RdpullError limit-exceeded, http-length, and of the network family
 */
export async function readBody(source: Source, limit: number): Promise<Uint8Array> {
  try {
    if (source.size !== undefined && source.size > limit) throw tooLong(source, limit);
    const content = keepBytes(limit, source.size);
    for await (const chunk of source.body) {
      if (!content.add(chunk)) throw tooLong(source, limit);
    }
    return content.bytes();
  } finally {
    source.close();
  }
}

function tooLong({ url, size }: Source, limit: number): RdpullError {
  const length = size === undefined ? 'is longer' : `has ${shownSize(size)}, which is more`;
  return new RdpullError(
    'limit-exceeded',
    `${shownUrl(url)} ${length} than the ${shownSize(limit)} that a manifest or a configuration may have`,
    'check what the registry answers for this URL',
  );
}
