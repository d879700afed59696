import fs from 'node:fs';
import path from 'node:path';
import { withoutSecrets } from '../console/shown-url.ts';
import { startWriteback } from '../kernel/writeback.ts';
import { stripImageSuffixes } from '../request/image-name.ts';
import { lastComponent } from '../request/url.ts';
import { openFileSource } from '../source/file.ts';
import type { Fetched } from '../transfer/copies.ts';
import { type AboutImage, formatAbout } from './about-image.ts';
import {
  type Beside,
  type BesideImage,
  besideName,
  namedVouchers,
  requireFileName,
  writeBeside,
} from './beside-image.ts';
import { ABOUT_FILE, type CachedImage } from './cached-image.ts';
import { cachedSuffix, FILES_SUFFIX, formatCachedName, plainName, type Tries } from './cached-name.ts';
import { imageVersion } from './image-version.ts';
import { SharedBlocks } from './shared-blocks.ts';
import { UNFINISHED, type VersionDirectory } from './version-directory.ts';

/** As long as what a file is read in, or longer. */
const ZEROS = Buffer.alloc(1024 * 1024);

/** What was fetched, and of an image in chunks its index. */
export interface FetchedImage extends Fetched {
  readonly index?: { readonly sha256: string; readonly content: Uint8Array };
}

/** Has the kernel write along, so that there is less to wait for at the end. Bytes. */
const WRITEBACK_STEP = 16 * 1024 * 1024;

/**
 * A file that is written into the cache while it arrives. Under its own name it is there when all of it is on the disk, and what vouches for
 * it beside it: whenever the machine loses its power, it is an image, or none.
 */
export class KeptCopy implements Disposable {
  readonly #directory: VersionDirectory;
  readonly #path: string;
  readonly #fd: number;
  #written = 0;
  #isGone = false;

  /** @throws Error of node:fs */
  constructor(directory: VersionDirectory) {
    this.#directory = directory;
    this.#path = path.join(directory.path, `${UNFINISHED}image`);
    fs.rmSync(this.#path, { force: true });
    this.#fd = fs.openSync(this.#path, 'wx', 0o644);
  }

  get written(): number {
    return this.#written;
  }

  /** @throws Error of node:fs */
  add(chunk: Uint8Array): void {
    this.#writeAt(this.#written, chunk);
    this.#grown(chunk.length);
  }

  #writeAt(offset: number, part: Uint8Array): void {
    for (let at = 0; at < part.length; )
      at += fs.writeSync(this.#fd, part, at, part.length - at, offset + at);
  }

  #grown(length: number): void {
    const before = this.#written;
    this.#written += length;
    if (Math.floor(before / WRITEBACK_STEP) < Math.floor(this.#written / WRITEBACK_STEP))
      startWriteback(this.#fd);
  }

  /**
   * A part that lies anywhere: written when it is the disk's turn, and whoever brings it goes on meanwhile.
   *
   * @param part has to stay as it is until it is written
   * @throws Error of node:fs
   */
  async put(offset: number, part: Uint8Array): Promise<void> {
    this.#written = Math.max(this.#written, offset + part.length);
    for (let at = 0; at < part.length; ) at += await writtenAt(this.#fd, part.subarray(at), offset + at);
  }

  /**
   * All of a file, but for what is zeros, which takes no room, and for what it can share with an older one.
   *
   * @param older of which most is probably at the same place
   * @returns SHA-256 of it, in lower-case hexadecimal
   * @throws RdpullError file-unreadable; SystemCallError; Error of node:fs
   */
  async addFile(file: string, older: string | undefined): Promise<string> {
    using shared = new SharedBlocks(older);
    const digest = new Bun.CryptoHasher('sha256');
    const source = openFileSource(Bun.pathToFileURL(file).href);
    try {
      for await (const piece of source.body) {
        digest.update(piece);
        if (!ZEROS.subarray(0, piece.length).equals(piece))
          this.#addPiece(Buffer.from(piece.buffer, piece.byteOffset, piece.length), shared);
        this.#grown(piece.length);
      }
    } finally {
      source.close();
    }
    return digest.digest('hex');
  }

  #addPiece(piece: Buffer, shared: SharedBlocks): void {
    for (const { start, end } of shared.share(this.#fd, this.#written, piece))
      this.#writeAt(this.#written + start, piece.subarray(start, end));
  }

  /**
   * The file is whole, and holds: gives it its name.
   *
   * @param tries how often it may be tried; undefined: it is good
   * @throws Error of node:fs; RdpullError for a name that no file can have
   */
  async complete(fetched: FetchedImage, tries: Tries | undefined): Promise<CachedImage> {
    const { stem, type } = this.#directory.family;
    const others = this.#directory.images();
    const version = imageVersion(
      { ...fetched, type },
      others.map((other) => other.version),
    );
    const name = { version, tries, suffix: cachedSuffix(type, fetched.compression) };
    const plain = plainName(stem, version);
    const files = path.join(this.#directory.path, `${plain}${FILES_SUFFIX}`);
    const image = path.join(this.#directory.path, formatCachedName(stem, name));
    requireFileName(path.basename(image));
    const { lastModified } = fetched;
    fs.ftruncateSync(this.#fd, this.#written);
    if (lastModified !== undefined) fs.futimesSync(this.#fd, lastModified, lastModified);
    await synced(this.#fd);
    const about = this.#about(fetched);
    writeBeside(this.#directory, files, besideFetched(about, fetched));
    fs.renameSync(this.#path, image);
    this.#directory.sync();
    this.#close();
    const { blocks } = fs.statSync(image);
    const id = path.join(this.#directory.family.directory, path.basename(this.#directory.path), plain);
    return { ...name, id, path: image, files, about, occupied: blocks * 512, isPinned: false };
  }

  /** Without {@link complete}, nothing is left; on a disk that has failed, what is left goes before the next one is written. */
  [Symbol.dispose](): void {
    if (this.#isGone) return;
    try {
      this.#close();
      fs.unlinkSync(this.#path);
    } catch {
      // Why it was not completed is the news.
    }
  }

  #close(): void {
    this.#isGone = true;
    fs.closeSync(this.#fd);
  }

  #about({ url, sha256, validator, index }: FetchedImage): AboutImage {
    return {
      url: withoutSecrets(url),
      name: lastComponent(url) ?? '',
      sha256,
      size: this.#written,
      ...(validator !== undefined && { validator }),
      ...(index !== undefined && { index: index.sha256 }),
      stored: new Date().toISOString(),
    };
  }
}

/** What belongs beside an image, under the names that it has on the server. */
function besideFetched(about: AboutImage, { vouchers, sideFiles, index }: FetchedImage): BesideImage {
  const stem = stripImageSuffixes(about.name, 'raw');
  return new Map<string, Beside>([
    [ABOUT_FILE, formatAbout(about)],
    ...namedVouchers(vouchers),
    ...(index === undefined ? [] : [[besideName(about.name), index.content] as const]),
    ...[...sideFiles].map(([suffix, copyOf]) => [besideName(`${stem}${suffix}`), { copyOf }] as const),
  ]);
}

/** @returns how many bytes were written */
function writtenAt(fd: number, bytes: Uint8Array, offset: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.write(fd, bytes, 0, bytes.length, offset, (error, count) =>
      error === null ? resolve(count) : reject(error),
    );
  });
}

/** The event loop goes on: systemd hears that the pull is alive. */
function synced(fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fs.fsync(fd, (error) => (error === null ? resolve() : reject(error)));
  });
}
