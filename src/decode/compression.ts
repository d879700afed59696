import { RdpullError } from '../console/rdpull-error.ts';
import { isWebPage } from '../verify/web-page.ts';
import { openBzip2Codec } from './bzip2.ts';
import { type Compression, compressionOf } from './compression-magic.ts';
import type { Decoder, DecoderContext } from './decoder.ts';
import { FOREIGN_FORMAT_BYTES, recogniseForeignFormat } from './foreign-format.ts';
import { openGzipCodec } from './gzip.ts';
import { openMemberDecoder } from './member-decoder.ts';
import { openStoredDecoder } from './stored.ts';
import { beginsLikeTarball } from './tar-block.ts';
import { openXzCodec } from './xz.ts';
import { openZstdCodec, zstdDictionaryNeeded } from './zstd.ts';
import { zstdDictionary } from './zstd-frame-header.ts';

/** Bytes of a stream's start that {@link detectCompression} wants to see (fewer only when the file is shorter). */
export const MAGIC_BYTES = FOREIGN_FORMAT_BYTES;

/**
 * The compression of a stream, from its first bytes.
 *
 * @throws RdpullError `stream-unsupported` for formats that are known and not supported, `http-web-page` when the
 *   "image" is an HTML page
 */
export function detectCompression(start: Uint8Array): Compression {
  if (beginsLikeTarball(start)) return 'none';
  const compression = compressionOf(start);
  if (compression === 'zstd') requireNoDictionary(start);
  if (compression !== undefined) return compression;
  const foreign = recogniseForeignFormat(start);
  if (foreign !== undefined) {
    throw new RdpullError(
      'stream-unsupported',
      `the file is ${foreign.name}, and rdpull reads xz, zstd, gzip, bzip2 and uncompressed files`,
      foreign.remedy,
    );
  }
  if (isWebPage(start)) {
    throw new RdpullError(
      'http-web-page',
      'the file is a web page, not an image',
      'open the URL in a browser: the server may ask for a login, or answer missing files with a page',
    );
  }
  return 'none';
}

function requireNoDictionary(start: Uint8Array): void {
  const dictionary = zstdDictionary(start);
  if (dictionary !== undefined) throw zstdDictionaryNeeded(`number ${dictionary}`);
}

export function openDecoder(compression: Compression, context: DecoderContext): Decoder {
  switch (compression) {
    case 'xz':
      return openMemberDecoder(openXzCodec(context.threadingMemory), context);
    case 'gzip':
      return openMemberDecoder(openGzipCodec(), context);
    case 'bzip2':
      return openMemberDecoder(openBzip2Codec(), context);
    case 'zstd':
      return openMemberDecoder(openZstdCodec(), context);
    case 'none':
      return openStoredDecoder(context);
  }
}
