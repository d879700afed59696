import fs from 'node:fs';
import { openBlockMap } from '../../../src/blocks/open-block-map.ts';
import { ImageCache } from '../../../src/on-demand/cache/image-cache.ts';
import { type BlockFetcher, openBlockFetcher } from '../../../src/on-demand/fetch/block-fetcher.ts';
import { openPinnedSource, type PinnedSource } from '../../../src/on-demand/fetch/pinned-source.ts';
import type { Patience } from '../../../src/source/source.ts';
import { TemporaryDirectory } from '../../fixtures/temporary-directory.ts';

export interface FetchingOptions {
  readonly patience?: Patience;
  readonly fillRate?: number;
  readonly digest?: boolean;
  readonly isPromised?: boolean;
  /** How long a server may stay silent, in ms. */
  readonly silence?: number;
}

/** A file on servers, and the cache that it is fetched into. */
export class Fetching implements AsyncDisposable {
  readonly #directory: TemporaryDirectory;
  readonly #fds: readonly number[];

  private constructor(
    directory: TemporaryDirectory,
    fds: readonly number[],
    readonly source: PinnedSource,
    readonly cache: ImageCache,
    readonly fetcher: BlockFetcher,
    readonly said: readonly string[],
  ) {
    this.#directory = directory;
    this.#fds = fds;
  }

  static async open(urls: readonly string[], options: FetchingOptions = {}): Promise<Fetching> {
    const said: string[] = [];
    const say = (text: string) => void said.push(text);
    const { patience = { milliseconds: 20_000, notify: say }, isPromised = false, fillRate } = options;
    const signal = new AbortController().signal;
    const result = await openPinnedSource(
      urls.map((url) => ({ url, login: undefined })),
      {
        ca: [],
        login: undefined,
        signal,
        patience,
        isPromised,
        warn: say,
        ...(options.silence !== undefined && { silence: options.silence }),
      },
    );
    if (result.kind === 'whole') throw new Error(`it ${result.reason}`);
    const { source } = result;
    const mapped = await openBlockMap(source.start, source);
    if (mapped.kind === 'none') throw new Error(`it ${mapped.reason}`);
    const { map } = mapped;
    const directory = new TemporaryDirectory();
    const path = directory.file('cache');
    const fd = fs.openSync(path, 'w+');
    const spill = fs.openSync(directory.file('spill'), 'w+');
    const cache = ImageCache.open(fd, map.size);
    const digest = options.digest === true ? { fd: spill, path: directory.file('spill') } : undefined;
    const fetcher = openBlockFetcher({ map, source, cache, path, fillRate, digest, signal });
    return new Fetching(directory, [fd, spill], source, cache, fetcher, said);
  }

  /** What the cache has of the image, as the kernel would read it: after it was wanted. */
  async read(offset: number, length: number): Promise<Buffer> {
    await this.fetcher.want(offset, length);
    if (!this.cache.present.has(offset, length)) throw new Error('it is not there');
    return this.bytes(offset, length);
  }

  bytes(offset: number, length: number): Buffer {
    const bytes = Buffer.alloc(length);
    const count = fs.readSync(this.cache.fd, bytes, 0, length, offset);
    return bytes.subarray(0, count);
  }

  all(): Buffer {
    return this.bytes(0, this.cache.size);
  }

  /** Bytes that the file of the digest takes now. */
  spilt(): number {
    return fs.statSync(this.#directory.file('spill')).blocks * 512;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.fetcher[Symbol.asyncDispose]();
    this.cache[Symbol.dispose]();
    for (const fd of this.#fds) fs.closeSync(fd);
    this.#directory[Symbol.dispose]();
  }
}
