import { RdpullError } from '../console/rdpull-error.ts';
import type { Compression } from '../decode/compression-magic.ts';
import { openSourceOnce } from '../source/open-source.ts';
import { isOthersFailure } from '../source/passing.ts';
import type { Location, SourceOptions } from '../source/source.ts';
import type { Promised } from './promise.ts';

/** A file that lies on this machine, as a server once sent it. */
export interface Copy {
  readonly path: string;
  /** Where it came from, without secrets. */
  readonly url: string;
  /** What it should have; nobody but the one who made the copy says so. Lower-case hexadecimal. */
  readonly sha256: string;
}

/** What a server says of a file, without sending it. */
export interface Described {
  /** As it was asked for. */
  readonly url: string;
  /** What identifies its bytes (`If-Range`). */
  readonly validator: string | undefined;
  readonly size: number | undefined;
}

/** What has become of a file that was fetched, when it holds. */
export interface Fetched extends Described {
  readonly lastModified: Date | undefined;
  readonly sha256: string;
  readonly compression: Compression;
  /** The files that vouch for it, by the URLs that they have. */
  readonly vouchers: ReadonlyMap<string, Uint8Array>;
  /** What was stored beside the image: the name behind that of the file without its own suffixes, and the path. */
  readonly sideFiles: ReadonlyMap<string, string>;
}

/** A copy that is being made. What fails there is no failure of the transfer. Disposing of one that is not complete removes it. */
export interface CopyInProgress extends Disposable {
  /** The next bytes. */
  add(chunk: Uint8Array): void;
  complete(fetched: Fetched): Promise<void>;
}

/**
 * Copies of files that were served before. A transfer takes its bytes from there in place of a server's, and holds them against the
 * same promise: where they come from makes no difference to what is demanded of them.
 */
export interface Copies {
  /**
   * The copy of the file that is wanted now.
   *
   * @param promised the digest that it has to have
   * @param describe asks the server what it has; for what is not promised
   * @throws whatever the owner of the copies means by it, which ends the transfer
   */
  find(
    promised: Promised | undefined,
    describe: () => Promise<Described | undefined>,
  ): Promise<Copy | undefined>;
  /** A file is fetched, for want of a copy. */
  begin(size: number | undefined): CopyInProgress | undefined;
  /** A copy was what it should be, and this vouches for it now: by the URLs that it has. */
  confirmed(copy: Copy, vouchers: ReadonlyMap<string, Uint8Array>): void;
  /** A copy is not what it should be: it is not to be found any more. */
  spoilt(copy: Copy, error: unknown): void;
}

/** What may be wrong with the bytes of a file, or with the disk that it lies on, beside what the decoders find. */
const BAD_COPY: ReadonlySet<unknown> = new Set([
  'checksum-mismatch',
  'http-length',
  'http-changed',
  'file-not-found',
  'file-unreadable',
]);
/** What the decoders find, and would find in any other copy as well. */
const BAD_ANYWHERE: ReadonlySet<unknown> = new Set(['limit-exceeded', 'decoder-memory']);

/** Whether it is the copy that something failed for. */
export function isCopysFault(error: unknown): boolean {
  if (!(error instanceof RdpullError) || BAD_ANYWHERE.has(error.code)) return false;
  return error.family === 'decode' || BAD_COPY.has(error.code);
}

/** Thrown in place of the failure of a copy: the file is to be had elsewhere. */
export class SpoiltCopy extends Error {
  override readonly name = 'SpoiltCopy';
}

/** Asks the first server that answers; undefined when none does, or where that says nothing of the bytes. */
export async function describeFile(
  locations: readonly Location[],
  options: SourceOptions,
): Promise<Described | undefined> {
  for (const { url, ...server } of locations) {
    try {
      const source = await openSourceOnce(url, { ...options, ...server, headOnly: true });
      source.close();
      return { url, validator: source.validator, size: source.size };
    } catch (error) {
      options.signal.throwIfAborted();
      if (!isOthersFailure(error)) throw error;
    }
  }
  return undefined;
}
