import fs from 'node:fs';
import { ImageCache } from '../../src/on-demand/cache/image-cache.ts';
import { PAGE_BYTES } from '../../src/on-demand/cache/present-pages.ts';
import type { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

/** An image that comes page by page into a cache, when it is wanted: what a server and a fetcher are otherwise. */
export class FetchedImage implements Disposable {
  readonly cache: ImageCache;
  /** The file of the cache. */
  readonly path: string;
  /** What was wanted, in this order. */
  readonly wanted: { readonly offset: number; readonly length: number }[] = [];
  /** Is called before anything comes: it may wait, or throw. */
  before: (offset: number, length: number) => Promise<void> = async () => undefined;

  constructor(
    directory: TemporaryDirectory,
    readonly bytes: Buffer,
  ) {
    this.path = directory.file('cache.raw');
    this.cache = ImageCache.open(fs.openSync(this.path, 'w+'), bytes.length);
  }

  readonly want = async (offset: number, length: number): Promise<void> => {
    this.wanted.push({ offset, length });
    await this.before(offset, length);
    this.put(offset, length);
  };

  /** Puts the whole pages of a range in their place. */
  put(offset = 0, length = this.bytes.length): void {
    const start = offset - (offset % PAGE_BYTES);
    const end = Math.min(Math.ceil((offset + length) / PAGE_BYTES) * PAGE_BYTES, this.bytes.length);
    fs.writeSync(this.cache.fd, this.bytes, start, end - start, start);
    this.cache.present.set(start, end - start);
  }

  [Symbol.dispose](): void {
    this.cache[Symbol.dispose]();
    fs.closeSync(this.cache.fd);
  }
}
