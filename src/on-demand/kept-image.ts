import type { Described, Fetched } from '../transfer/copies.ts';
import type { Promised } from '../transfer/promise.ts';
import { sideFilesBeside } from '../transfer/side-files.ts';
import type { ChunkedKeeper } from './chunked-download.ts';
import type { FetchFigures } from './fetch/fetch-figures.ts';
import type { ShownImage } from './shown-image.ts';

/** Keeps images for another time. What fails there is no failure of the pull. */
export interface ImageKeeper extends ChunkedKeeper {
  /**
   * Whether a file is here that is the one that is wanted: it need not be read on demand.
   *
   * @param describe asks the server what it has; for what is not promised
   * @throws whatever the keeper means by it, which ends the pull
   */
  has(promised: Promised | undefined, describe: () => Promise<Described | undefined>): Promise<boolean>;
  /** The image is in use from now on, and no other one can take its place; the initrd is still there. */
  shown(): void;
  /** The file at `path` is complete, and has the bytes that were served. */
  completeFile(path: string, fetched: Omit<Fetched, 'sha256'>): Promise<void>;
  /** The image is complete, and is not kept: why, to follow its path. */
  passOver(path: string, why: string): void;
}

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
