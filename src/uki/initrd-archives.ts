import { RdpullError } from '../console/rdpull-error.ts';
import { openBzip2Codec } from '../decode/bzip2.ts';
import { openGzipCodec } from '../decode/gzip.ts';
import type { MemberCodec } from '../decode/member-decoder.ts';
import { openXzCodec } from '../decode/xz.ts';
import { openZstdCodec } from '../decode/zstd.ts';
import { CPIO_START, type CpioVisitor, createCpioReader } from './cpio-archive.ts';
import { type InitrdPart, openPackedPart, openPlainPart } from './initrd-part.ts';
import { malformedUki } from './malformed-uki.ts';

const MIB = 1024 * 1024;
const OUTPUT_BYTES = MIB;
/** For blocks of xz side by side. */
const THREADING_BYTES = 64 * MIB;

/** What an initrd may be after decompression, in bytes: it has to fit into RAM, and reading it takes its time. */
const UNPACKED_MAX = 8 * 1024 * MIB;
/** How many times larger it may become, beyond some bytes: what is packed from files is a tenth of that at most. */
const RATIO_MAX = 1000;
const RATIO_FLOOR = 256 * MIB;

/** How the kernel tells compressions (lib/decompress.c), and what reads them here; undefined where nothing does. */
const FORMATS: readonly {
  readonly name: string;
  readonly magic: readonly number[];
  readonly open?: () => MemberCodec;
}[] = [
  { name: 'zstd', magic: [0x28, 0xb5], open: openZstdCodec },
  { name: 'gzip', magic: [0x1f, 0x8b], open: openGzipCodec },
  { name: 'xz', magic: [0xfd, 0x37], open: () => openXzCodec(THREADING_BYTES) },
  { name: 'bzip2', magic: [0x42, 0x5a], open: openBzip2Codec },
  { name: 'lz4', magic: [0x02, 0x21] },
  { name: 'lzma', magic: [0x5d, 0x00] },
  { name: 'lzo', magic: [0x89, 0x4c] },
];
const MAGIC_BYTES = 2;

/** What an initrd is made of. */
export interface InitrdArchives {
  /** Bytes after decompression, as far as it was read. */
  readonly unpacked: number;
  /** How its parts are packed, in order: `none`, `zstd` ... */
  readonly packed: readonly string[];
  /** The compression before which reading had to end: nothing here reads it. */
  readonly opaque: string | undefined;
}

/**
 * Reads all archives of an initrd, each of them plain or compressed, one after the other as the kernel does it
 * (init/initramfs.c). Memory: one buffer, that of the decompressor, and what `visit` keeps.
 *
 * @param turn is awaited now and then, so that signals have theirs
 * @throws RdpullError uki-malformed, and those of the decoders
 */
export async function readInitrd(
  body: Iterable<Uint8Array>,
  visit: CpioVisitor,
  turn: () => Promise<void>,
): Promise<InitrdArchives> {
  using parts = openParts(visit);
  try {
    for (const chunk of body) {
      parts.write(chunk);
      if (parts.archives().opaque !== undefined) return parts.archives();
      await turn();
    }
    parts.finish();
    return parts.archives();
  } catch (error) {
    // A decoder knows what is wrong with the stream, but not whose stream it is.
    if (!(error instanceof RdpullError) || error.code === 'uki-malformed') throw error;
    throw malformedUki(`its initrd: ${error.message}`);
  }
}

/** The parts of an initrd, one behind the other, with zeros in between. */
interface Parts extends Disposable {
  /** Takes the next bytes, unless there is something before them that nothing here reads. */
  write(chunk: Uint8Array): void;
  /** There are no more. */
  finish(): void;
  /** What there was until now. */
  archives(): InitrdArchives;
}

function openParts(visit: CpioVisitor): Parts {
  const packed: string[] = [];
  const growth = boundGrowth();
  const output = new Uint8Array(OUTPUT_BYTES);
  let opaque: string | undefined;
  let part: InitrdPart | undefined;
  /** What is too short to tell how it is packed. */
  let pending: Uint8Array = new Uint8Array(0);

  function begin(input: Uint8Array): void {
    const reader = createCpioReader(visit);
    const format = formatOf(input);
    packed.push(format?.name ?? 'none');
    if (format === undefined) part = openPlainPart(reader, growth.unpack);
    else if (format.open === undefined) opaque = format.name;
    else part = openPackedPart(reader, format.open(), output, growth.unpack);
  }

  function close(): void {
    part?.close();
    part = undefined;
  }

  return {
    write(chunk) {
      growth.serve(chunk.length);
      let input = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
      pending = new Uint8Array(0);
      while (opaque === undefined && input.length > 0) {
        if (part !== undefined) {
          const { taken, ended } = part.feed(input, false);
          input = input.subarray(taken);
          if (ended) close();
          continue;
        }
        input = withoutZeros(input);
        if (input.length >= MAGIC_BYTES) begin(input);
        else {
          pending = new Uint8Array(input);
          return;
        }
      }
    },
    finish() {
      if (pending.length > 0) throw malformedUki('its initrd has a part that is too short to be one');
      part?.feed(new Uint8Array(0), true);
    },
    archives: () => ({ unpacked: growth.unpacked(), packed, opaque }),
    [Symbol.dispose]: close,
  };
}

/** @returns undefined for archives as they are */
function formatOf(input: Uint8Array): (typeof FORMATS)[number] | undefined {
  if (input[0] === CPIO_START) return undefined;
  const format = FORMATS.find(({ magic }) => magic.every((byte, index) => input[index] === byte));
  if (format !== undefined) return format;
  throw malformedUki('its initrd is neither an archive nor compressed as the kernel knows it');
}

function withoutZeros(input: Uint8Array): Uint8Array {
  const start = input.findIndex((byte) => byte !== 0);
  return input.subarray(start < 0 ? input.length : start);
}

/** Counts the bytes before and after decompression, and throws uki-malformed when the latter are too many. */
function boundGrowth() {
  let served = 0;
  let unpacked = 0;
  return {
    serve(bytes: number): void {
      served += bytes;
    },
    unpack(bytes: number): void {
      unpacked += bytes;
      if (unpacked > UNPACKED_MAX)
        throw malformedUki(`its initrd is more than ${UNPACKED_MAX / MIB} MiB after decompression`);
      if (unpacked > RATIO_FLOOR && unpacked > served * RATIO_MAX)
        throw malformedUki(`its initrd is more than ${RATIO_MAX} times larger after decompression`);
    },
    unpacked: () => unpacked,
  };
}
