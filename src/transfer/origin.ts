import { type MirroredSource, openMirroredSource } from '../source/mirrored-source.ts';
import { startDigest } from '../source/running-digest.ts';
import type { Joining } from '../source/same-file.ts';
import type { SourceOptions } from '../source/source.ts';
import {
  type Copies,
  type Copy,
  type CopyInProgress,
  describeFile,
  isCopysFault,
  SpoiltCopy,
} from './copies.ts';
import type { Promised } from './promise.ts';
import type { Start } from './starts.ts';

/** Where the bytes of a start come from. */
export interface Origin extends Disposable {
  readonly source: DigestedSource;
  /** The file on this machine that they are read from. */
  readonly copy: Copy | undefined;
  /** Takes them as well, when they come from a server. */
  readonly kept: CopyInProgress | undefined;
}

export interface OriginOptions {
  readonly copies?: Copies | undefined;
  /** Whether the SHA-256 of the bytes is to be told, also when nothing is held against it. */
  readonly tellsDigest: boolean;
}

/**
 * Opens the file that is wanted: the copy of what was promised, or of what the server says that it has; else the file on the server, and
 * begins a copy of it.
 *
 * @throws SpoiltCopy, and those of {@link openMirroredSource}
 */
export async function openOrigin(
  { copies, tellsDigest }: OriginOptions,
  start: Start,
  promised: Promised | undefined,
  options: SourceOptions,
): Promise<Origin> {
  const copy = await copies?.find(promised, () => describeFile(start.locations, options));
  if (copy !== undefined) return await openCopy(copies, copy, start, promised, options);
  const isDigested = tellsDigest || promised !== undefined || copies !== undefined;
  const source = await openDigested(start, promised, isDigested, options);
  start.opened(source);
  const kept = copies?.begin(source.size);
  return {
    source: kept === undefined ? source : keptOnTheWay(source, kept),
    copy,
    kept,
    [Symbol.dispose]() {
      kept?.[Symbol.dispose]();
      source.close();
    },
  };
}

async function openCopy(
  copies: Copies | undefined,
  copy: Copy,
  start: Start,
  promised: Promised | undefined,
  options: SourceOptions,
): Promise<Origin> {
  const locations = [{ url: Bun.pathToFileURL(copy.path).href, login: undefined }];
  const { patience: _, ...once } = options;
  try {
    const source = await openDigested({ ...start, locations }, promised, true, once);
    return { source, copy, kept: undefined, [Symbol.dispose]: source.close };
  } catch (error) {
    throw aboutCopy(copies, copy, options, error);
  }
}

/** What is wrong with the bytes of a copy, or with its disk, is no failure of the transfer: they are to be had elsewhere. */
export function aboutCopy(
  copies: Copies | undefined,
  copy: Copy | undefined,
  { signal }: SourceOptions,
  error: unknown,
): unknown {
  if (copy === undefined || signal.aborted || !isCopysFault(error)) return error;
  copies?.spoilt(copy, error);
  return new SpoiltCopy(copy.path, { cause: error });
}

/** The body of `source`, which `kept` gets, too. */
function keptOnTheWay(source: DigestedSource, kept: CopyInProgress): DigestedSource {
  async function* body(): AsyncGenerator<Uint8Array> {
    for await (const chunk of source.body) {
      kept.add(chunk);
      yield chunk;
    }
  }
  return { ...source, body: body() };
}

/** A source that knows the digest of what it has yielded, if it is held against something, or told. */
export interface DigestedSource extends MirroredSource {
  readonly isDigested: boolean;
  /** SHA-256, in lower-case hexadecimal. Throws where {@link isDigested} is not. */
  readonly sha256: () => string;
}

/**
 * Opens the file; its body is hashed as it goes by, so that the digest never lags behind what was taken.
 *
 * @param isDigested whether its SHA-256 is held against something, or told
 */
async function openDigested(
  start: Start,
  promised: Promised | undefined,
  isDigested: boolean,
  options: SourceOptions,
): Promise<DigestedSource> {
  const kind = isDigested ? 'sha256' : 'crc32';
  const digest = startDigest(kind);
  const source = await openMirroredSource(start.locations, {
    ...options,
    joining: joining(start, promised),
    isPromised: promised !== undefined,
    digest: { kind, value: digest.value },
  });
  async function* body(): AsyncGenerator<Uint8Array> {
    for await (const chunk of source.body) {
      digest.update(chunk);
      yield chunk;
    }
  }
  function sha256(): string {
    if (!isDigested) throw new Error('nobody has asked for the digest');
    return digest.value();
  }
  return { ...source, body: body(), isDigested, sha256 };
}

/** What is reason enough to join the bytes of two answers. */
function joining({ mayJoinOnTrust }: Start, promised: Promised | undefined): Joining {
  if (!mayJoinOnTrust) return 'compared';
  return promised === undefined ? 'validated' : 'promised';
}
