import { type ErrorCode, RdpullError } from '../console/rdpull-error.ts';
import { shownUrl } from '../console/shown-url.ts';
import { openFileSource } from './file.ts';
import { patiently } from './patience.ts';
import type { RangeRequest, Source, SourceOptions } from './source.ts';

/**
 * Opens an `http:`, `https:` or `file:` URL for reading from its start, or, where `wanted` is given and the server can,
 * a part of it: `range` of the source says which.
 *
 * Where the server cannot be reached, it tries again for as long as `options.patience` says, and resolves anew each time.
 *
 * @throws RdpullError of the network, http or storage family
 */
export function openSource(url: string, options: SourceOptions, wanted?: RangeRequest): Promise<Source> {
  return patiently(url, () => openSourceOnce(url, options, wanted), options);
}

/** {@link openSource} without patience. */
export async function openSourceOnce(
  url: string,
  options: SourceOptions,
  wanted?: RangeRequest,
): Promise<Source> {
  if (url.startsWith('file:')) return openFileSource(url, wanted);
  // Sockets take time to load: not for files.
  const { openHttpSource } = await import('./http.ts');
  return openHttpSource(url, options, wanted);
}

const MISSING: ReadonlySet<ErrorCode> = new Set(['http-not-found', 'http-forbidden', 'file-not-found']);

/**
 * Reads a small file whole: a checksum file or a signature.
 *
 * @returns undefined when there is no such file: 404, or 403 as object stores answer for a missing object
 * @throws RdpullError when the file is longer than `limit` bytes, and as {@link openSource}
 */
export function fetchSmallFile(
  url: string,
  limit: number,
  options: SourceOptions,
): Promise<Uint8Array | undefined> {
  return patiently(url, () => fetchOnce(url, limit, options), options);
}

async function fetchOnce(
  url: string,
  limit: number,
  options: SourceOptions,
): Promise<Uint8Array | undefined> {
  let source: Source;
  try {
    source = await openSourceOnce(url, options);
  } catch (error) {
    if (error instanceof RdpullError && MISSING.has(error.code)) return undefined;
    throw error;
  }
  try {
    const parts: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of source.body) {
      length += chunk.length;
      if (length > limit) {
        throw new RdpullError(
          'manifest-malformed',
          `${shownUrl(url)} is longer than ${limit} bytes: it is not a checksum file or a signature`,
          'check what the server answers for this URL',
        );
      }
      parts.push(new Uint8Array(chunk));
    }
    return Buffer.concat(parts);
  } finally {
    source.close();
  }
}
