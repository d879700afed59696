import { type ChunkTable, MAX_INDEX_BYTES, parseChunkIndex } from '../blocks/chunk-index.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { shownUrl } from '../console/shown-url.ts';
import { createAttempts } from '../source/attempts.ts';
import { keepBytes } from '../source/kept-bytes.ts';
import { openSourceOnce } from '../source/open-source.ts';
import type { Location, SourceOptions } from '../source/source.ts';
import { aboutUrl } from '../transfer/failed-stream.ts';
import { type Promised, requirePromise } from '../transfer/promise.ts';

/** The index of an image, which is what was promised. */
export interface FoundIndex {
  readonly table: ChunkTable;
  /** The place that had it, and where redirects led to from there. */
  readonly location: Location;
  readonly url: string;
  /** Bytes of the file. */
  readonly bytes: number;
  readonly content: Uint8Array;
  /** Of the file, lower-case hexadecimal. */
  readonly sha256: string;
  readonly lastModified: Date | undefined;
}

/**
 * Fetches the index of an image, and checks it before anything is read out of it. One that is not as promised, or damaged, is asked of
 * the next place.
 *
 * @param locations mirrors of one another; at least one
 * @param promised what the file has to be; undefined where nothing vouches for it
 * @throws RdpullError checksum-mismatch, index-malformed, stream-unsupported; as `openSource`
 */
export async function fetchChunkIndex(
  locations: readonly Location[],
  promised: Promised | undefined,
  options: SourceOptions,
): Promise<FoundIndex> {
  const { patience: _, ...once } = options;
  return await createAttempts(locations, options).make(async (location) => {
    try {
      return await fetchOnce(location, promised, once);
    } catch (error) {
      options.signal.throwIfAborted();
      throw aboutUrl(location.url, error);
    }
  });
}

async function fetchOnce(
  location: Location,
  promised: Promised | undefined,
  options: SourceOptions,
): Promise<FoundIndex> {
  const source = await openSourceOnce(location.url, {
    ...options,
    ...location,
    isPromised: promised !== undefined,
  });
  try {
    const { url, lastModified } = source;
    const kept = keepBytes(MAX_INDEX_BYTES);
    const hasher = new Bun.CryptoHasher('sha256');
    for await (const piece of source.body) {
      hasher.update(piece);
      if (!kept.add(piece)) throw tooLong(location);
    }
    const sha256 = hasher.digest('hex');
    const bytes = kept.length;
    requirePromise(location.url, promised, { sha256, bytes });
    const content = kept.bytes().slice();
    return { table: parseChunkIndex(content), location, url, bytes, content, sha256, lastModified };
  } finally {
    source.close();
  }
}

function tooLong({ url }: Location): RdpullError {
  return new RdpullError(
    'index-malformed',
    `${shownUrl(url)} is longer than ${MAX_INDEX_BYTES} bytes: it is no index of chunks, or one of too many`,
    'check what the server answers for this URL; make it with larger chunks: casync make --chunk-size=1048576',
  );
}
