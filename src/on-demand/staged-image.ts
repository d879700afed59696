import fs from 'node:fs';
import { storageError } from '../transfer/sink/storage-error.ts';
import { ImageCache } from './cache/image-cache.ts';

/** A file that is being made. */
export interface StagedFile extends Disposable {
  readonly fd: number;
  readonly path: string;
}

/**
 * A new file in a staging directory: closed by this, and never removed, which is the directory's part.
 *
 * @throws RdpullError of the storage family
 */
export function openStaged(file: string): StagedFile {
  try {
    const fd = fs.openSync(file, 'wx+', 0o600);
    return { fd, path: file, [Symbol.dispose]: () => fs.closeSync(fd) };
  } catch (error) {
    throw storageError(file, 0, error);
  }
}

/**
 * The image in its file, as far as it is there.
 *
 * @throws RdpullError of the storage family
 */
export function openCache({ fd, path: file }: StagedFile, size: number): ImageCache {
  try {
    return ImageCache.open(fd, size);
  } catch (error) {
    throw storageError(file, 0, error);
  }
}
