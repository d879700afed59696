import type { BlockMap } from '../blocks/block-map.ts';
import type { Compression } from '../decode/compression-magic.ts';
import { sideFilesBeside } from '../transfer/side-files.ts';
import type { FetchFigures } from './fetch/fetch-figures.ts';
import type { ImageKeeper, PartsInProgress } from './image-keeper.ts';
import type { ServedImage } from './served-image.ts';
import type { ShownImage } from './shown-image.ts';

/** How a file is packed that is kept as it was served; undefined: what came out of it is that file, or nothing is one file. */
const PACKED: Readonly<Record<BlockMap['format'], Compression | undefined>> = {
  xz: 'xz',
  zstd: 'zstd',
  qcow2: 'none',
  raw: undefined,
  caibx: undefined,
};

/** Has what is fetched of an image kept, where that cannot be made of the image itself. */
export function keepParts(
  keeper: ImageKeeper | undefined,
  { map, size }: ServedImage,
): PartsInProgress | undefined {
  return PACKED[map.format] === undefined || size === undefined ? undefined : keeper?.beginParts(size);
}

/** Has an image kept that is complete. */
export async function keepImage(
  shown: ShownImage,
  { figures, sha256: served }: { readonly figures: FetchFigures; readonly sha256: string | undefined },
): Promise<void> {
  const { pull, demand, image, parts, survivor } = shown;
  const { fetched } = figures;
  const { keeper, target } = pull;
  if (keeper === undefined) return;
  const { location, lastModified, validator, size, sha256, index, map } = image;
  const { vouchers } = demand;
  const from = { url: location.url, lastModified, vouchers, sideFiles: sideFilesBeside(pull) };
  survivor?.follow();
  if (index !== undefined && sha256 !== undefined)
    await keeper.complete({ ...from, path: target, sha256, index, fetched });
  else if (map.format === 'raw')
    await keeper.completeFile(target, { ...from, validator, size, compression: 'none' });
  else if (served !== undefined)
    await parts?.complete({
      ...from,
      validator,
      size,
      sha256: served,
      compression: PACKED[map.format] ?? 'none',
    });
}
