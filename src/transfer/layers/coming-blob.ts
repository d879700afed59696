import { RdpullError } from '../../console/rdpull-error.ts';
import type { RegistryLayer, RegistrySession } from '../../registry/registry-image.ts';
import { formatDigest } from '../../request/content-digest.ts';
import { type StoredBlob, storeBlob } from './stored-blob.ts';

/** What a blob is to whoever reads it. */
export type TakeBytes = (bytes: Uint8Array) => Promise<void>;

export interface ComingBlobOptions {
  readonly layer: RegistryLayer;
  /** For people. */
  readonly name: string;
  /** How many layers have it. */
  readonly uses: number;
  /** Where it may be stored while it waits: a name that is free. */
  readonly path: string;
  readonly session: RegistrySession;
  readonly signal: AbortSignal;
  /** Called with each number of bytes that have come. */
  readonly received: (bytes: number) => void;
}

/**
 * A blob on its way: hashed as it comes, stored as served as long as nobody reads it, and handed on without a detour from
 * then on.
 */
export class ComingBlob implements Disposable {
  readonly size: number;
  readonly #options: ComingBlobOptions;
  #usesLeft: number;
  #store: StoredBlob | undefined;
  /** Bytes are on their way to the store. */
  #storing: Promise<void> = Promise.resolve();
  /** Who takes bytes as they come, all before them being there. */
  #direct: TakeBytes | undefined;
  #download: Promise<void> | undefined;
  #isComplete = false;
  #news = Promise.withResolvers<void>();

  constructor(options: ComingBlobOptions) {
    this.#options = options;
    this.#usesLeft = options.uses;
    this.size = options.layer.size;
  }

  get isStarted(): boolean {
    return this.#download !== undefined;
  }

  /** Whether nobody will ask for it any more. */
  get isUsedUp(): boolean {
    return this.#usesLeft === 0;
  }

  /**
   * Begins to fetch it.
   *
   * @returns settled when all of it has come, and is what the manifest names
   */
  start(): Promise<void> {
    this.#download ??= this.#fetch();
    return this.#download;
  }

  /**
   * Hands on all of it, from the first byte, for one of the layers that have it.
   *
   * @throws RdpullError what `take` throws, and what became of the download
   */
  async read(take: TakeBytes): Promise<void> {
    this.#usesLeft--;
    const isLast = this.isUsedUp;
    const downloaded = this.start();
    for (let at = 0; ; ) {
      const storing = this.#storing;
      await storing;
      // The next ones are on their way there already: they are not to be passed by.
      if (this.#storing !== storing) continue;
      if (at < (this.#store?.length ?? 0)) {
        at += (await this.#store?.read(at, isLast, take)) ?? 0;
      } else if (this.#isComplete) {
        break;
      } else if (isLast) {
        this.#direct = take;
        break;
      } else {
        await Promise.race([this.#news.promise, downloaded]);
      }
    }
    await downloaded;
    if (isLast) this[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.#store?.[Symbol.dispose]();
    this.#store = undefined;
  }

  async #fetch(): Promise<void> {
    const { layer, session, signal, received } = this.#options;
    const { algorithm, hex } = layer.digest;
    const digest = new Bun.CryptoHasher(algorithm);
    let bytes = 0;
    const source = await session.openLayer(layer);
    try {
      for await (const chunk of source.body) {
        signal.throwIfAborted();
        bytes += chunk.length;
        if (bytes > layer.size)
          throw this.#isOther(`there are more than the ${layer.size} bytes of the manifest`);
        digest.update(chunk);
        received(chunk.length);
        await this.#pass(chunk);
      }
    } finally {
      source.close();
    }
    if (bytes !== layer.size)
      throw this.#isOther(`${bytes} bytes came, and the manifest names ${layer.size}`);
    const actual = digest.digest('hex');
    if (actual !== hex) {
      const found = formatDigest({ algorithm, hex: actual });
      throw this.#isOther(
        `its ${bytes} bytes have ${found}, and the manifest names ${formatDigest(layer.digest)}`,
      );
    }
    this.#isComplete = true;
    this.#tell();
  }

  async #pass(chunk: Uint8Array): Promise<void> {
    if (this.#direct !== undefined) {
      await this.#direct(chunk);
      return;
    }
    this.#store ??= storeBlob(this.#options.path);
    this.#storing = this.#store.add(chunk);
    await this.#storing;
    this.#tell();
  }

  /** There is more to read. */
  #tell(): void {
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }

  #isOther(how: string): RdpullError {
    return new RdpullError(
      'checksum-mismatch',
      `${this.#options.name} is not what was promised: ${how}`,
      'try again; if it happens again, push the image anew, and find out who may write to the registry, or sits between',
    );
  }
}
