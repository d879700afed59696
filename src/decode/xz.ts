import { ptr } from 'bun:ffi';
import liblzma from '../../dist/libraries/liblzma.so' with { type: 'file' };
import { RdpullError } from '../console/rdpull-error.ts';
import { openEmbeddedLibrary } from '../kernel/embedded-library.ts';
import { addressOf } from '../kernel/libc.ts';
import { type MemberCodec, type Step, streamCorrupt } from './member-decoder.ts';

/** `lzma_stream`, lzma/base.h: 136 bytes on 64-bit machines. */
const LZMA_STREAM = { size: 136, next_in: 0, avail_in: 8, next_out: 24, avail_out: 32 } as const;
/** `lzma_mt`, lzma/container.h: 128 bytes. */
const LZMA_MT = { size: 128, flags: 0, threads: 4, memlimit_threading: 64, memlimit_stop: 72 } as const;

/** `lzma_ret` and `lzma_action`, lzma/base.h */
const LZMA_OK = 0;
const LZMA_STREAM_END = 1;
const LZMA_UNSUPPORTED_CHECK = 3;
const LZMA_MEM_ERROR = 5;
const LZMA_MEMLIMIT_ERROR = 6;
const LZMA_OPTIONS_ERROR = 8;
const LZMA_BUF_ERROR = 10;
const LZMA_RUN = 0;
const LZMA_FINISH = 3;

/** lzma/container.h: an integrity check that cannot be checked is an error, not a shrug. */
const LZMA_TELL_UNSUPPORTED_CHECK = 0x02;

const MIB = 1024 * 1024;
/** Memory for decoding at all: a dictionary of 128 MiB, twice that of `xz -9`. */
const STOP_BYTES = 136 * MIB;

/**
 * .xz by liblzma's threaded decoder: the blocks of `xz -T` files in parallel, as many at a time as the memory and the
 * processors allow; one after the other when the memory does not hold two, or a block does not say how long it is.
 * Any number of streams, with padding of four zero bytes each (The .xz File Format 1.2.1, section 2.2).
 *
 * @param threadingMemory bytes for what is decoded side by side: of each block all that it is, packed and unpacked, and
 *   its dictionary
 */
export function openXzCodec(threadingMemory: number): MemberCodec {
  const { lzma_stream_decoder_mt, lzma_code, lzma_end } = openEmbeddedLibrary(liblzma, {
    lzma_stream_decoder_mt: { args: ['ptr', 'ptr'], returns: 'u32' },
    lzma_code: { args: ['ptr', 'u32'], returns: 'u32' },
    lzma_end: { args: ['ptr'], returns: 'void' },
  });
  const options = new DataView(new ArrayBuffer(LZMA_MT.size));
  options.setUint32(LZMA_MT.flags, LZMA_TELL_UNSUPPORTED_CHECK, true);
  // Imported, it would be something that each thread loads, whatever it decodes.
  const threads = process.getBuiltinModule('node:os').availableParallelism();
  options.setUint32(LZMA_MT.threads, threads, true);
  // With one processor a thread for the blocks only adds copies and switches; liblzma starts none without memory for it.
  const besides = threads > 1 ? threadingMemory : 0;
  options.setBigUint64(LZMA_MT.memlimit_threading, BigInt(besides), true);
  options.setBigUint64(LZMA_MT.memlimit_stop, BigInt(STOP_BYTES), true);
  const stream = new DataView(new ArrayBuffer(LZMA_STREAM.size));

  function step(input: Uint8Array, output: Uint8Array, last: boolean): Step {
    stream.setBigUint64(LZMA_STREAM.next_in, addressOf(input), true);
    stream.setBigUint64(LZMA_STREAM.avail_in, BigInt(input.length), true);
    stream.setBigUint64(LZMA_STREAM.next_out, addressOf(output), true);
    stream.setBigUint64(LZMA_STREAM.avail_out, BigInt(output.length), true);
    const result = lzma_code(ptr(stream), last ? LZMA_FINISH : LZMA_RUN);
    // LZMA_BUF_ERROR only says that nothing could be done: the caller sees that from the figures.
    if (result !== LZMA_BUF_ERROR) checkLzma(result);
    return {
      consumed: input.length - Number(stream.getBigUint64(LZMA_STREAM.avail_in, true)),
      produced: output.length - Number(stream.getBigUint64(LZMA_STREAM.avail_out, true)),
      ended: result === LZMA_STREAM_END,
    };
  }

  return {
    format: 'xz',
    paddingUnit: 4,
    begin: () => checkLzma(lzma_stream_decoder_mt(ptr(stream), ptr(options))),
    step,
    close: () => lzma_end(ptr(stream)),
  };
}

/**
 * @param bytes that the filters of a block take, their dictionary included; `UINT64_MAX` when they are not known
 * @throws RdpullError decoder-memory, stream-unsupported
 */
export function requireLzmaMemory(bytes: bigint): void {
  if (bytes === 2n ** 64n - 1n) checkLzma(LZMA_OPTIONS_ERROR);
  else if (bytes > BigInt(STOP_BYTES)) checkLzma(LZMA_MEMLIMIT_ERROR);
}

/**
 * @param result an `lzma_ret`
 * @throws RdpullError stream-corrupt, stream-unsupported, decoder-memory
 */
export function checkLzma(result: number): void {
  switch (result) {
    case LZMA_OK:
    case LZMA_STREAM_END:
      return;
    case LZMA_MEMLIMIT_ERROR:
    case LZMA_MEM_ERROR:
      throw new RdpullError(
        'decoder-memory',
        `the xz stream needs more than the ${STOP_BYTES / MIB} MiB of memory that rdpull allows, or the machine has no memory left`,
        'compress the image with a preset, for example xz -T0 -6, whose dictionary is at most 64 MiB',
      );
    case LZMA_OPTIONS_ERROR:
    case LZMA_UNSUPPORTED_CHECK:
      throw new RdpullError(
        'stream-unsupported',
        'the xz stream uses an integrity check or filter that liblzma does not know',
        'compress the image again with plain xz -T0',
      );
    default:
      throw streamCorrupt('xz', `liblzma reports error ${result}`);
  }
}
