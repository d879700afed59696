import { chunkMap, occupiedByChunks } from '../blocks/chunk-map.ts';
import { openSeeds, type SeedFiles } from '../chunks/chunk-seed.ts';
import { openChunkStores } from '../chunks/chunk-stores.ts';
import { fetchChunkIndex } from '../chunks/fetch-index.ts';
import type { Location, SourceOptions } from '../source/source.ts';
import { type Limits, requireDownload, requireSize } from '../transfer/limits.ts';
import type { Demand } from '../transfer/promise.ts';
import type { ServedImage } from './served-image.ts';

/** Where an image in chunks lies. */
export interface ChunkedImagePlaces {
  /** Of its index. */
  readonly locations: readonly Location[];
  /** Of its chunks. */
  readonly stores: readonly Location[];
  /** Images of this machine that may have some of them, best first. */
  readonly seeds: readonly SeedFiles[];
}

/** An image whose index is known. */
export interface ChunkedImage extends ServedImage {
  /** Of the index, lower-case hexadecimal. */
  readonly sha256: string;
  /** The index, as it was served. */
  readonly index: Uint8Array;
}

/**
 * Opens an image in chunks: by its index, which is what was demanded, and so is each chunk that it names.
 *
 * @throws RdpullError as `fetchChunkIndex`; limit-exceeded
 */
export async function openChunkedImage(
  { locations, stores, seeds }: ChunkedImagePlaces,
  { promised }: Demand,
  limits: Pick<Limits, 'download' | 'size' | 'ratio'>,
  options: SourceOptions,
): Promise<ChunkedImage> {
  const index = await fetchChunkIndex(locations, promised, options);
  const { table, location, url, bytes, sha256, lastModified } = index;
  requireSize(table.size, undefined, limits);
  const notify = (text: string) => options.patience?.notify(text, 0);
  const source = openChunkStores(stores, options, (fetched) => requireDownload(bytes + fetched, limits));
  const opened = openSeeds(seeds, table.algorithm, notify);
  return {
    ...{
      source,
      map: chunkMap(table),
      chunks: { table, ...{ seeds: opened.seeds, unknown: opened.unknown }, isAlone: false, notify },
    },
    ...{ url, location, lastModified, size: undefined, sha256, index: index.content, validator: undefined },
    [Symbol.dispose]() {
      source[Symbol.dispose]();
      opened[Symbol.dispose]();
    },
    room: async () => ({ uncompressed: table.size, exact: true, occupied: occupiedByChunks(table) }),
  };
}
