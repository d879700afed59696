import { RdpullError } from '../console/rdpull-error.ts';
import { openBzip2Codec } from '../decode/bzip2.ts';
import { openGzipCodec } from '../decode/gzip.ts';
import type { MemberCodec } from '../decode/member-decoder.ts';
import { openXzCodec } from '../decode/xz.ts';
import { openZstdCodec } from '../decode/zstd.ts';
import { type CpioReader, type CpioVisitor, createCpioReader } from './cpio-archive.ts';
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

/** One part of an initrd: archives as they are, or compressed together. */
interface Part {
  readonly reader: CpioReader;
  readonly codec: MemberCodec | undefined;
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
  const output = new Uint8Array(OUTPUT_BYTES);
  const packed: string[] = [];
  let served = 0;
  let unpacked = 0;
  let part: Part | undefined;
  let pending: Uint8Array = new Uint8Array(0);

  function begin(input: Uint8Array): Part | string {
    const [first] = input;
    const reader = createCpioReader(visit);
    if (first === 0x30) {
      packed.push('none');
      return { reader, codec: undefined };
    }
    const format = FORMATS.find(({ magic }) => magic.every((byte, index) => input[index] === byte));
    if (format === undefined)
      throw malformedUki('its initrd is neither an archive nor compressed as the kernel knows it');
    packed.push(format.name);
    if (format.open === undefined) return format.name;
    const codec = format.open();
    codec.begin();
    return { reader, codec };
  }

  /** Returns how much of the input the part took; it is over when that is not all. */
  function feed(
    { reader, codec }: Part,
    input: Uint8Array,
    last: boolean,
  ): { taken: number; ended: boolean } {
    if (codec === undefined) {
      const taken = reader.write(input);
      count(taken);
      if (last && !reader.isBetween) throw malformedUki('its initrd ends in the middle of an archive');
      return { taken, ended: taken < input.length };
    }
    let taken = 0;
    for (;;) {
      const { consumed, produced, ended } = codec.step(input.subarray(taken), output, last);
      taken += consumed;
      count(produced);
      if (reader.write(output.subarray(0, produced)) < produced) {
        throw malformedUki('in its initrd, something that is no archive is behind an archive');
      }
      if (ended) {
        if (!reader.isBetween) throw malformedUki('an archive in its initrd is not complete');
        return { taken, ended: true };
      }
      if (taken === input.length && produced < OUTPUT_BYTES) {
        if (last && consumed === 0 && produced === 0)
          throw malformedUki(`the ${codec.format} stream of its initrd ends too early`);
        if (!last) return { taken, ended: false };
      } else if (consumed === 0 && produced === 0) {
        throw malformedUki(`the ${codec.format} stream of its initrd is damaged`);
      }
    }
  }

  function count(bytes: number): void {
    unpacked += bytes;
    if (unpacked > UNPACKED_MAX)
      throw malformedUki(`its initrd is more than ${UNPACKED_MAX / MIB} MiB after decompression`);
    if (unpacked > RATIO_FLOOR && unpacked > served * RATIO_MAX)
      throw malformedUki(`its initrd is more than ${RATIO_MAX} times larger after decompression`);
  }

  /** @returns the compression that nothing here reads */
  function take(chunk: Uint8Array): string | undefined {
    served += chunk.length;
    let input = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    pending = new Uint8Array(0);
    while (input.length > 0) {
      if (part === undefined) {
        const start = input.findIndex((byte) => byte !== 0);
        input = start < 0 ? input.subarray(input.length) : input.subarray(start);
        if (input.length < MAGIC_BYTES) {
          pending = new Uint8Array(input);
          return undefined;
        }
        const begun = begin(input);
        if (typeof begun === 'string') return begun;
        part = begun;
      }
      const { taken, ended } = feed(part, input, false);
      input = input.subarray(taken);
      if (ended) end();
    }
    return undefined;
  }

  function end(): void {
    part?.codec?.close();
    part = undefined;
  }

  try {
    for (const chunk of body) {
      const opaque = take(chunk);
      if (opaque !== undefined) return { unpacked, packed, opaque };
      await turn();
    }
    if (pending.length > 0) throw malformedUki('its initrd has a part that is too short to be one');
    if (part !== undefined) feed(part, new Uint8Array(0), true);
    return { unpacked, packed, opaque: undefined };
  } catch (error) {
    // A decoder knows what is wrong with the stream, but not whose stream it is.
    if (!(error instanceof RdpullError) || error.code === 'uki-malformed') throw error;
    throw malformedUki(`its initrd: ${error.message}`);
  } finally {
    end();
  }
}
