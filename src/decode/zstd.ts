import { CString, ptr } from 'bun:ffi';
import libzstd from '../../dist/libraries/libzstd.so' with { type: 'file' };
import { RdpullError } from '../console/rdpull-error.ts';
import { openEmbeddedLibrary } from '../kernel/embedded-library.ts';
import { addressOf } from '../kernel/libc.ts';
import { type MemberCodec, type Step, streamCorrupt } from './member-decoder.ts';

/** zstd.h: `ZSTD_d_windowLogMax`, and the window it allows: 128 MiB, as `zstd --long=27` needs. */
const ZSTD_d_windowLogMax = 100;
const WINDOW_LOG_MAX = 27;
/** `ZSTD_ResetDirective`, zstd.h */
const ZSTD_reset_session_only = 1;

/** zstd_errors.h */
const ZSTD_error_frameParameter_windowTooLarge = 16;
const ZSTD_error_dictionary_corrupted = 30;
const ZSTD_error_dictionary_wrong = 32;
const ZSTD_error_memory_allocation = 64;

/** zstd (RFC 8878) by libzstd: all frames of a file, skippable ones included. Memory: the stream's own window. */
export function openZstdCodec(): MemberCodec {
  const library = openEmbeddedLibrary(libzstd, {
    ZSTD_createDCtx: { args: [], returns: 'ptr' },
    ZSTD_freeDCtx: { args: ['ptr'], returns: 'u64' },
    ZSTD_DCtx_setParameter: { args: ['ptr', 'i32', 'i32'], returns: 'u64' },
    ZSTD_DCtx_reset: { args: ['ptr', 'i32'], returns: 'u64' },
    ZSTD_decompressStream: { args: ['ptr', 'ptr', 'ptr'], returns: 'u64' },
    ZSTD_findFrameCompressedSize: { args: ['ptr', 'u64'], returns: 'u64' },
    ZSTD_decompressDCtx: { args: ['ptr', 'ptr', 'u64', 'ptr', 'u64'], returns: 'u64' },
    ZSTD_isError: { args: ['u64'], returns: 'u32' },
    ZSTD_getErrorCode: { args: ['u64'], returns: 'i32' },
    ZSTD_getErrorName: { args: ['u64'], returns: 'ptr' },
  });
  const context = library.ZSTD_createDCtx();
  if (context === null) throw outOfMemory();
  check(library.ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, WINDOW_LOG_MAX));

  // `ZSTD_inBuffer` and `ZSTD_outBuffer`, zstd.h: address, size, position.
  const inBuffer = new BigUint64Array(new ArrayBuffer(24));
  const outBuffer = new BigUint64Array(new ArrayBuffer(24));

  function step(input: Uint8Array, output: Uint8Array): Step {
    inBuffer.set([addressOf(input), BigInt(input.length), 0n]);
    outBuffer.set([addressOf(output), BigInt(output.length), 0n]);
    const result = library.ZSTD_decompressStream(context, ptr(outBuffer), ptr(inBuffer));
    check(result);
    return { consumed: Number(inBuffer[2]), produced: Number(outBuffer[2]), ended: result === 0n };
  }

  function check(result: bigint): void {
    if (library.ZSTD_isError(result) === 0) return;
    const code = library.ZSTD_getErrorCode(result);
    if (code === ZSTD_error_frameParameter_windowTooLarge || code === ZSTD_error_memory_allocation) {
      throw outOfMemory();
    }
    if (code === ZSTD_error_dictionary_wrong || code === ZSTD_error_dictionary_corrupted) {
      throw zstdDictionaryNeeded('which one, it does not say');
    }
    const name = library.ZSTD_getErrorName(result);
    throw streamCorrupt('zstd', name === null ? `error ${code}` : new CString(name).toString());
  }

  return {
    format: 'zstd',
    // Of a frame that did not hold, or was not read to its end, nothing is left.
    begin: () => check(library.ZSTD_DCtx_reset(context, ZSTD_reset_session_only)),
    step,
    whole(input, output) {
      if (input.length === 0 || output.length === 0) return false;
      const from = ptr(input);
      // What is an error is a size that no memory has.
      return (
        library.ZSTD_findFrameCompressedSize(from, input.length) === BigInt(input.length) &&
        library.ZSTD_decompressDCtx(context, ptr(output), output.length, from, input.length) ===
          BigInt(output.length)
      );
    },
    close: () => void library.ZSTD_freeDCtx(context),
  };
}

/** @param which of them: "number 7" */
export function zstdDictionaryNeeded(which: string): RdpullError {
  return new RdpullError(
    'stream-unsupported',
    `the zstd stream was compressed with a dictionary (${which}), without which nobody can read it`,
    'compress the image without: zstd IMAGE.raw, with neither -D nor --patch-from',
  );
}

function outOfMemory(): RdpullError {
  return new RdpullError(
    'decoder-memory',
    `the zstd stream needs a window of more than ${2 ** WINDOW_LOG_MAX / 1024 / 1024} MiB, or the machine has no memory left for it`,
    'compress the image with zstd --long=27 or less',
  );
}
