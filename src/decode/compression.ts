import { RdpullError } from '../console/rdpull-error.ts';
import { isWebPage } from '../verify/web-page.ts';
import { openBzip2Codec } from './bzip2.ts';
import type { Decoder, DecoderContext } from './decoder.ts';
import { openGzipCodec } from './gzip.ts';
import { openMemberDecoder } from './member-decoder.ts';
import { openStoredDecoder } from './stored.ts';
import { openXzCodec } from './xz.ts';
import { openZstdCodec } from './zstd.ts';

export type Compression = 'xz' | 'gzip' | 'bzip2' | 'zstd' | 'none';

/** Bytes of a stream's start that {@link detectCompression} wants to see (fewer only when the file is shorter). */
export const MAGIC_BYTES = 16;

interface Magic {
  readonly bytes: readonly number[];
  readonly compression: Compression;
}

/** The first bytes of each format, from its specification: the name of a file never decides. */
const MAGICS: readonly Magic[] = [
  { bytes: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], compression: 'xz' },
  { bytes: [0x1f, 0x8b], compression: 'gzip' },
  { bytes: [0x28, 0xb5, 0x2f, 0xfd], compression: 'zstd' },
  { bytes: [0x42, 0x5a, 0x68], compression: 'bzip2' },
];

/** RFC 8878, section 3.1.2: a zstd file may begin with a skippable frame (pzstd and seekable zstd do). */
const ZSTD_SKIPPABLE = [0x2a, 0x4d, 0x18] as const;

/** Formats that would be written as they are and could never boot. */
const REFUSED: readonly { bytes: readonly number[]; name: string; hint: string }[] = [
  { bytes: [0x04, 0x22, 0x4d, 0x18], name: 'an lz4 stream', hint: 'compress the image with zstd -3 instead' },
  {
    bytes: [0x51, 0x46, 0x49, 0xfb],
    name: 'a qcow2 image',
    hint: 'convert it with: qemu-img convert -O raw IMAGE.qcow2 IMAGE.raw',
  },
  { bytes: [0x50, 0x4b, 0x03, 0x04], name: 'a zip archive', hint: 'serve the image inside it' },
];

/**
 * The compression of a stream, from its first bytes.
 *
 * @throws RdpullError `stream-unsupported` for formats that are known and not supported, `http-web-page` when the
 *   "image" is an HTML page
 */
export function detectCompression(start: Uint8Array): Compression {
  for (const { bytes, compression } of MAGICS) {
    if (startsWith(start, bytes)) return compression;
  }
  if (((start[0] ?? 0) & 0xf0) === 0x50 && startsWith(start.subarray(1), ZSTD_SKIPPABLE)) return 'zstd';
  for (const { bytes, name, hint } of REFUSED) {
    if (startsWith(start, bytes)) {
      throw new RdpullError(
        'stream-unsupported',
        `the file is ${name}, and rdpull reads xz, zstd, gzip, bzip2 and uncompressed files`,
        hint,
      );
    }
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

function startsWith(start: Uint8Array, bytes: readonly number[]): boolean {
  return bytes.every((byte, index) => start[index] === byte);
}
