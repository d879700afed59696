import { sideFilesBeside } from '../transfer/side-files.ts';
import type { FetchFigures } from './fetch/fetch-figures.ts';
import type { ShownImage } from './shown-image.ts';

/** Has an image kept that is complete, where what was served is still there. */
export async function keepImage(shown: ShownImage, { fetched }: FetchFigures): Promise<void> {
  const { pull, demand, image, survivor } = shown;
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
  else keeper.passOver(target, 'what was served was packed, and only what came out of it is here');
}
