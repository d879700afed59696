import { setTimeout } from 'node:timers/promises';
import { duration } from '../../console/quantity.ts';
import { type ErrorCode, RdpullError } from '../../console/rdpull-error.ts';
import { openFileSource } from './file.ts';
import { shownUrl } from './shown-url.ts';
import type { Source, SourceOptions } from './source.ts';

/** Pauses between attempts, in ms. */
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 8000;

/** What may be otherwise in a moment: a network is often not ready when systemd says so. */
const PASSING: ReadonlySet<ErrorCode> = new Set([
  'host-unknown',
  'connection-refused',
  'host-unreachable',
  'connection-timeout',
  'connection-lost',
  'transfer-stalled',
  'http-server-error',
]);

/**
 * Opens an `http:`, `https:` or `file:` URL for reading from its start.
 *
 * Where the server cannot be reached, it tries again for as long as `options.patience` says, and resolves anew each time.
 *
 * @throws RdpullError of the network, http or storage family
 */
export async function openSource(url: string, options: SourceOptions): Promise<Source> {
  const { milliseconds = 0, notify } = options.patience ?? {};
  const end = performance.now() + milliseconds;
  for (let pause = FIRST_PAUSE; ; pause = Math.min(pause * 2, LONGEST_PAUSE)) {
    try {
      return await openOnce(url, options);
    } catch (error) {
      if (!(error instanceof RdpullError) || !PASSING.has(error.code)) throw error;
      // Machines that were switched on together must not ask together.
      const jittered = pause * (0.75 + Math.random() / 2);
      if (performance.now() + jittered > end) throw error;
      notify?.(`${error.message}; trying again in ${duration(jittered)}`);
      await setTimeout(jittered, undefined, { signal: options.signal });
    }
  }
}

async function openOnce(url: string, options: SourceOptions): Promise<Source> {
  if (url.startsWith('file:')) return openFileSource(url);
  // undici takes 40 ms to load: not for files.
  const { openHttpSource } = await import('./http.ts');
  return openHttpSource(url, options);
}

const MISSING: ReadonlySet<ErrorCode> = new Set(['http-not-found', 'http-forbidden', 'file-not-found']);

/**
 * Reads a small file whole: a checksum file or a signature.
 *
 * @returns undefined when there is no such file: 404, or 403 as object stores answer for a missing object
 * @throws RdpullError when the file is longer than `limit` bytes, and as {@link openSource}
 */
export async function fetchSmallFile(
  url: string,
  limit: number,
  options: SourceOptions,
): Promise<Uint8Array | undefined> {
  let source: Source;
  try {
    source = await openSource(url, options);
  } catch (error) {
    if (error instanceof RdpullError && MISSING.has(error.code)) return undefined;
    throw error;
  }
  try {
    const parts: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of source.body) {
      length += chunk.length;
      if (length > limit) {
        throw new RdpullError(
          'manifest-malformed',
          `${shownUrl(url)} is longer than ${limit} bytes: it is not a checksum file or a signature`,
          'check what the server answers for this URL',
        );
      }
      parts.push(chunk.slice());
    }
    return Buffer.concat(parts);
  } finally {
    source.close();
  }
}
