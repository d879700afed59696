import { type ErrorCode, RdpullError } from '../console/rdpull-error.ts';
import { shownUrl } from '../console/shown-url.ts';
import { openFileSource } from './file.ts';
import { keepBytes } from './kept-bytes.ts';
import { patiently } from './patience.ts';
import type { RangeRequest, Source, SourceOptions } from './source.ts';

/**
 * Opens an `http:`, `https:` or `file:` URL for reading from its start, or, where `wanted` is given and the server can,
 * a part of it: `range` of the source says which.
 *
 * Where the server cannot be reached, it tries again for as long as `options.patience` says, and resolves anew each time.
 *
 * @throws RdpullError of the network, http or storage family
 */
export function openSource(url: string, options: SourceOptions, wanted?: RangeRequest): Promise<Source> {
  return patiently(url, () => openSourceOnce(url, options, wanted), options);
}

/** {@link openSource} without patience. */
export async function openSourceOnce(
  url: string,
  options: SourceOptions,
  wanted?: RangeRequest,
): Promise<Source> {
  if (url.startsWith('file:')) return openFileSource(url, wanted);
  // Sockets take time to load: not for files.
  const { openHttpSource } = await import('./http.ts');
  return openHttpSource(url, options, wanted);
}

/** Why there is no small file. 403 is what object stores answer for a missing object, too. */
export type Absence = 'not found' | 'forbidden (403)';

const ABSENCES: Readonly<Partial<Record<ErrorCode, Absence>>> = {
  'http-not-found': 'not found',
  'http-forbidden': 'forbidden (403)',
  'file-not-found': 'not found',
};

/** What is said of a small file. */
export interface SmallFileWords {
  /** What it should be; without it, a checksum file or a signature. */
  readonly kind?: string;
  /** Hears why there is none. */
  readonly absent?: (why: Absence) => void;
}

/**
 * Reads a small file whole.
 *
 * @returns undefined when there is no such file: 404, or 403
 * @throws RdpullError when the file is longer than `limit` bytes, and as {@link openSource}
 */
export function fetchSmallFile(
  url: string,
  limit: number,
  options: SourceOptions,
  words: SmallFileWords = {},
): Promise<Uint8Array | undefined> {
  return patiently(url, () => fetchOnce(url, limit, options, words), options);
}

async function fetchOnce(
  url: string,
  limit: number,
  options: SourceOptions,
  { kind = 'a checksum file or a signature', absent }: SmallFileWords,
): Promise<Uint8Array | undefined> {
  let source: Source;
  try {
    source = await openSourceOnce(url, options);
  } catch (error) {
    const why = error instanceof RdpullError ? ABSENCES[error.code] : undefined;
    if (why === undefined) throw error;
    absent?.(why);
    return undefined;
  }
  try {
    const content = keepBytes(limit, source.size);
    for await (const chunk of source.body) {
      if (content.add(chunk)) continue;
      throw new RdpullError(
        'manifest-malformed',
        `${shownUrl(url)} is longer than ${limit} bytes: it is not ${kind}`,
        'check what the server answers for this URL',
      );
    }
    return content.bytes();
  } finally {
    source.close();
  }
}
