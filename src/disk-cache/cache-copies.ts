import fs from 'node:fs';
import path from 'node:path';
import type { SeedFiles } from '../chunks/chunk-seed.ts';
import { printable } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { withoutSecrets } from '../console/shown-url.ts';
import { reasonWithoutPath } from '../kernel/system-error.ts';
import type { KeptImage } from '../on-demand/chunked-download.ts';
import type { PartsInProgress } from '../on-demand/image-keeper.ts';
import type { Copies, Copy, CopyInProgress, Described, Fetched } from '../transfer/copies.ts';
import type { Promised } from '../transfer/promise.ts';
import { type AboutImage, formatAbout } from './about-image.ts';
import { besideName, besideNow, hasContent, namedVouchers, writeBeside } from './beside-image.ts';
import { type CacheBounds, makeRoom, type RoomMade } from './cache-room.ts';
import { ABOUT_FILE, type CachedImage, imageTitle, isGood, isWornOut, seedsAmong } from './cached-image.ts';
import type { Tries } from './cached-name.ts';
import type { DiskCache } from './disk-cache.ts';
import { KeptCopy } from './kept-copy.ts';
import { KeptParts } from './kept-parts.ts';
import type { VersionDirectory } from './version-directory.ts';

/** Bytes that stay free: for the names, and what is written beside an image. */
const RESERVE = 4 * 1024 * 1024;

/** What could become any size takes no room from others. */
const LENGTHLESS: RoomMade = {
  removed: [],
  defect: 'takes nothing of which the server does not say how long it is',
};

/** How images are used, and kept. */
export interface CacheUse extends CacheBounds {
  /** How often a new image may be tried. */
  readonly tries: number;
  /** Whether this is a boot, which counts. */
  readonly counts: boolean;
  /** Takes a line about what is not as it should be. */
  readonly warn: (text: string) => void;
  readonly tell: (text: string) => void;
}

/** What the server has was tried as often as it may be, and never came up; another image did. */
export class WornOutImage extends Error {
  override readonly name = 'WornOutImage';
  readonly image: CachedImage;

  constructor(image: CachedImage) {
    super(
      `${printable(imageTitle(image))} has no tries left: it was booted ${image.tries?.done ?? 0} times, and never came up`,
    );
    this.image = image;
  }
}

/**
 * The images of one name, as a transfer asks for them. It finds what is wanted now, keeps what is fetched, and counts what is booted; which
 * one that came to be, {@link used} says.
 */
export class CacheCopies implements Copies {
  readonly #cache: DiskCache;
  readonly #directory: VersionDirectory;
  readonly #use: CacheUse;
  /** How those were counted that turned out to be damaged, by their digest: they come back as what they were. */
  readonly #spoilt = new Map<string, Tries | undefined>();
  #used: CachedImage | undefined;
  /** Where nothing else is to be had: this one, or none. */
  #only: CachedImage | undefined;
  #failure: RdpullError | undefined;

  constructor(cache: DiskCache, directory: VersionDirectory, use: CacheUse) {
    this.#cache = cache;
    this.#directory = directory;
    this.#use = use;
  }

  /** What the transfer took, or has stored. */
  get used(): CachedImage | undefined {
    return this.#used;
  }

  /** Those that can be used; none, when the disk does not say. */
  images(): readonly CachedImage[] {
    try {
      const images = this.#directory.images();
      return images.filter((image) => !this.#spoilt.has(image.about.sha256) && this.#isUsable(image));
    } catch (error) {
      this.#unreadable(error);
      return [];
    }
  }

  /** No server is asked any more: what is found is `image`. */
  insistOn(image: CachedImage): void {
    this.#only = image;
    this.#failure = undefined;
  }

  /** @throws WornOutImage when another image is to be booted */
  async find(
    promised: Promised | undefined,
    describe: () => Promise<Described | undefined>,
  ): Promise<Copy | undefined> {
    if (this.#failure !== undefined) throw this.#failure;
    const image = this.#only ?? (await this.#wanted(promised, describe));
    if (image === undefined) return undefined;
    if (this.#only === undefined) this.#requireTries(image);
    try {
      const { path, about } = this.#counted(image);
      return { path, url: about.url, sha256: about.sha256 };
    } catch (error) {
      this.#unreadable(error);
      return undefined;
    }
  }

  begin(size: number | undefined): CopyInProgress | undefined {
    if (!this.#cache.isWritable || this.#only !== undefined) return undefined;
    try {
      return this.#hasRoom(size) ? this.#inProgress(new KeptCopy(this.#directory)) : undefined;
    } catch (error) {
      this.#notKept(error);
      return undefined;
    }
  }

  confirmed({ sha256 }: Copy, vouchers: ReadonlyMap<string, Uint8Array>): void {
    const image = this.#used;
    if (this.#only !== undefined || image?.about.sha256 !== sha256 || vouchers.size === 0) return;
    this.#describe(image, image.about, vouchers);
  }

  spoilt({ path, sha256 }: Copy, error: unknown): void {
    const failure = RdpullError.from(error);
    const image = this.images().find((each) => each.path === path);
    this.#spoilt.set(sha256, image?.tries);
    this.#used = undefined;
    this.#use.warn(`the cached image is damaged, and not used: ${failure.message}`);
    if (this.#only !== undefined) this.#failure = failure;
    if (image === undefined || !this.#cache.isWritable) return;
    try {
      this.#directory.remove(image);
    } catch (reason) {
      this.#use.warn(`${printable(path)} cannot be removed: ${reasonWithoutPath(reason)}`);
    }
  }

  /**
   * A file that was read while it came is complete, and has the bytes that were served. The boot that has read it is over by now, as far as
   * the initrd goes, and nobody would bless it: it is counted from the next one on.
   */
  async keepFile(file: string, fetched: Omit<Fetched, 'sha256'>): Promise<void> {
    if (this.#only !== undefined || !this.#cache.isWritable) return;
    try {
      if (!this.#hasRoom(fetched.size)) return;
      using copy = new KeptCopy(this.#directory);
      const sha256 = await copy.addFile(file, this.#newestUnpacked());
      const same = this.#directory.images().find(({ about }) => about.sha256 === sha256);
      if (same === undefined) this.#used = await copy.complete({ ...fetched, sha256 }, this.#untried());
      else this.#describeFetched(same, fetched);
    } catch (error) {
      this.#notKept(error);
    }
  }

  /** A file that is packed, and read while it comes: it is kept as it comes, and counted as of {@link keepFile}. */
  beginParts(size: number): PartsInProgress | undefined {
    if (this.#only !== undefined || !this.#cache.isWritable) return undefined;
    try {
      if (!this.#hasRoom(size)) return undefined;
      const copy = new KeptCopy(this.#directory);
      return new KeptParts(copy, {
        complete: async (fetched) => {
          const same = this.#directory.images().find(({ about }) => about.sha256 === fetched.sha256);
          if (same === undefined) this.#used = await copy.complete(fetched, this.#untried());
          else this.#describeFetched(same, fetched);
        },
        notKept: (error) => this.#notKept(error),
      });
    } catch (error) {
      this.#notKept(error);
      return undefined;
    }
  }

  /** The images that an image in chunks may have something in common with, which need not be fetched then. */
  seeds(): SeedFiles[] {
    const images = seedsAmong(this.#only === undefined ? this.images() : [this.#only]);
    return images.map(({ path: image, files, about }) => ({
      image,
      index: about.index === undefined ? undefined : path.join(files, besideName(about.name)),
    }));
  }

  /** An image in chunks is wanted: its index says which one. */
  beginChunked(sha256: string): void {
    const image = this.#only ?? this.images().find(({ about }) => about.index === sha256);
    if (image === undefined) return;
    if (this.#only === undefined) this.#requireTries(image);
    try {
      this.#counted(image);
    } catch (error) {
      this.#unreadable(error);
    }
  }

  /**
   * It is complete: what there is already stays, unless some of it had to be fetched again.
   *
   * @param isTried a boot is on its way with it, and counts; else, as of {@link keepFile}, the next one is the first
   */
  async keepChunked(image: KeptImage, isTried: boolean): Promise<void> {
    if (this.#only !== undefined || !this.#cache.isWritable) return;
    try {
      const same = this.images().find(({ about }) => about.index === image.sha256);
      if (same !== undefined && image.fetched === 0) {
        this.#describe(same, same.about, image.vouchers);
        return;
      }
      if (same !== undefined) this.#replaced(same);
      const { blocks } = fs.statSync(image.path);
      const tries = same === undefined ? (isTried ? this.#newTries() : this.#untried()) : same.tries;
      if (this.#hasRoom(blocks * 512)) this.#used = await this.#copyChunked(image, tries);
    } catch (error) {
      this.#notKept(error);
    }
  }

  /** Some of it had to be fetched although it is here: the disk has changed it. */
  #replaced(image: CachedImage): void {
    this.#use.warn(`${printable(imageTitle(image))} of the cache is damaged, and is stored anew`);
    this.#directory.remove(image);
    this.#used = undefined;
  }

  /**
   * Makes room for so many bytes, and says what had to go, or why there is none.
   *
   * @throws Error of node:fs
   */
  #hasRoom(need: number | undefined): boolean {
    const { warn, tell } = this.#use;
    const made =
      need === undefined
        ? LENGTHLESS
        : makeRoom(this.#cache, { need, reserve: RESERVE }, this.#use, this.#directory);
    if (made.defect !== undefined)
      warn(`the image is not kept: the cache ${printable(this.#cache.root)} ${made.defect}`);
    else
      for (const image of made.removed)
        tell(`${printable(imageTitle(image))} was removed from the cache to make room`);
    return made.defect === undefined;
  }

  async #copyChunked(image: KeptImage, tries: Tries | undefined): Promise<CachedImage> {
    using copy = new KeptCopy(this.#directory);
    const { sha256, index, ...rest } = image;
    const digest = await copy.addFile(image.path, this.#newestUnpacked());
    const fetched = {
      ...rest,
      validator: undefined,
      size: copy.written,
      sha256: digest,
      compression: 'none',
    } as const;
    return await copy.complete({ ...fetched, index: { sha256, content: index } }, tries);
  }

  /** The newest image that is kept unpacked. */
  #newestUnpacked(): string | undefined {
    return this.images().find(({ suffix }) => suffix === '.raw')?.path;
  }

  async #wanted(
    promised: Promised | undefined,
    describe: () => Promise<Described | undefined>,
  ): Promise<CachedImage | undefined> {
    const images = this.images();
    if (promised !== undefined)
      return images.find(({ about }) => about.sha256 === promised.digest && about.index === undefined);
    if (!images.some(({ about }) => about.validator !== undefined)) return undefined;
    const described = await describe();
    if (described?.validator === undefined) return undefined;
    // A server gives files beside each other the same validator, when they are as long, and their dates were made the same.
    const url = withoutSecrets(described.url);
    return images.find(
      ({ about }) =>
        about.url === url &&
        about.validator === described.validator &&
        (described.size ?? about.size) === about.size,
    );
  }

  /** What cannot be counted is only used when it is good. */
  #isUsable(image: CachedImage): boolean {
    return isGood(image) || this.#cache.isWritable || !this.#use.counts;
  }

  #requireTries(image: CachedImage): void {
    // The try that is going on may be the last one.
    if (!this.#use.counts || !isWornOut(image) || this.#used?.id === image.id) return;
    if (this.images().some((other) => other !== image && isGood(other))) throw new WornOutImage(image);
    this.#use.warn(`${new WornOutImage(image).message}; no other image has, so that it is tried once more`);
  }

  #counted(image: CachedImage): CachedImage {
    // A transfer that starts over is the same boot.
    if (this.#used?.id === image.id) return this.#used;
    this.#used = this.#use.counts && !isGood(image) ? this.#directory.countDown(image) : image;
    return this.#used;
  }

  #inProgress(copy: KeptCopy): CopyInProgress {
    let isAbandoned = false;
    const attempt = <T>(action: () => T): T | undefined => {
      if (isAbandoned) return undefined;
      try {
        return action();
      } catch (error) {
        isAbandoned = true;
        this.#notKept(error);
        copy[Symbol.dispose]();
        return undefined;
      }
    };
    return {
      add: (chunk) => attempt(() => copy.add(chunk)),
      complete: async (fetched) => {
        try {
          const same = this.#directory.images().find(({ about }) => about.sha256 === fetched.sha256);
          if (same !== undefined) this.#foundAgain(same, fetched);
          else if (!isAbandoned) this.#used = await copy.complete(fetched, this.#triesOf(fetched));
        } catch (error) {
          this.#notKept(error);
        }
      },
      [Symbol.dispose]: () => copy[Symbol.dispose](),
    };
  }

  /** It was fetched for want of a sign that it is what there is: the next time there may be one. */
  #foundAgain(image: CachedImage, fetched: Fetched): void {
    this.#describeFetched(image, fetched);
    this.#counted(image);
  }

  #describeFetched(image: CachedImage, { validator, vouchers }: Omit<Fetched, 'sha256'>): void {
    const { validator: _, ...about } = image.about;
    this.#describe(image, { ...about, ...(validator !== undefined && { validator }) }, vouchers);
  }

  /** Brings what lies beside an image up to date, so that it is what vouches for it when there is no server. */
  #describe(image: CachedImage, about: AboutImage, vouchers: ReadonlyMap<string, Uint8Array>): void {
    if (!this.#cache.isWritable) return;
    try {
      const fresh = [...namedVouchers(vouchers), [ABOUT_FILE, formatAbout(about)] as const];
      if (fresh.every(([name, content]) => hasContent(path.join(image.files, name), content))) return;
      writeBeside(this.#directory, image.files, new Map([...besideNow(image.files), ...fresh]));
    } catch (error) {
      this.#use.tell(
        `what lies beside ${printable(imageTitle(image))} stays as it was: ${reasonWithoutPath(error)}`,
      );
    }
  }

  /** A boot takes the first one itself. */
  #triesOf({ sha256 }: Fetched): Tries | undefined {
    if (this.#spoilt.has(sha256)) return this.#spoilt.get(sha256);
    return this.#newTries();
  }

  #newTries(): Tries {
    const { tries, counts } = this.#use;
    return counts ? { left: tries - 1, done: 1 } : this.#untried();
  }

  #untried(): Tries {
    return { left: this.#use.tries, done: 0 };
  }

  #unreadable(error: unknown): void {
    const where = printable(this.#directory.path);
    this.#use.warn(`what is in the cache cannot be used: ${where}: ${reasonWithoutPath(error)}`);
  }

  #notKept(error: unknown): void {
    const reason = error instanceof RdpullError ? error.message : reasonWithoutPath(error);
    this.#use.warn(
      `the image is not kept: writing to the cache ${printable(this.#cache.root)} failed: ${reason}`,
    );
  }
}
