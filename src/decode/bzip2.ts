import { ptr } from 'bun:ffi';
import libbz2 from '../../dist/libraries/libbz2.so' with { type: 'file' };
import { RdpullError } from '../console/rdpull-error.ts';
import { openEmbeddedLibrary } from '../kernel/embedded-library.ts';
import { addressOf } from '../kernel/libc.ts';
import { type MemberCodec, type Step, streamCorrupt } from './member-decoder.ts';

/** `bz_stream`, bzlib.h: 80 bytes on 64-bit machines. */
const BZ_STREAM = { size: 80, next_in: 0, avail_in: 8, next_out: 24, avail_out: 32 } as const;

/** bzlib.h */
const BZ_OK = 0;
const BZ_STREAM_END = 4;
const BZ_MEM_ERROR = -3;

/** bzip2 by libbz2: all streams of a file (`pbzip2` writes many), at most 4 MB of memory. */
export function openBzip2Codec(): MemberCodec {
  const library = openEmbeddedLibrary(libbz2, {
    BZ2_bzDecompressInit: { args: ['ptr', 'i32', 'i32'], returns: 'i32' },
    BZ2_bzDecompress: { args: ['ptr'], returns: 'i32' },
    BZ2_bzDecompressEnd: { args: ['ptr'], returns: 'i32' },
  });
  const stream = new DataView(new ArrayBuffer(BZ_STREAM.size));
  let open = false;

  function close(): void {
    if (open) library.BZ2_bzDecompressEnd(ptr(stream));
    open = false;
  }

  function begin(): void {
    check(library.BZ2_bzDecompressInit(ptr(stream), 0, 0));
    open = true;
  }

  function step(input: Uint8Array, output: Uint8Array): Step {
    stream.setBigUint64(BZ_STREAM.next_in, addressOf(input), true);
    stream.setUint32(BZ_STREAM.avail_in, input.length, true);
    stream.setBigUint64(BZ_STREAM.next_out, addressOf(output), true);
    stream.setUint32(BZ_STREAM.avail_out, output.length, true);
    const result = library.BZ2_bzDecompress(ptr(stream));
    check(result);
    const ended = result === BZ_STREAM_END;
    if (ended) close();
    return {
      consumed: input.length - stream.getUint32(BZ_STREAM.avail_in, true),
      produced: output.length - stream.getUint32(BZ_STREAM.avail_out, true),
      ended,
    };
  }

  return {
    format: 'bzip2',
    passesOverTrailing: true,
    begin,
    step,
    close,
  };
}

function check(result: number): void {
  if (result === BZ_OK || result === BZ_STREAM_END) return;
  if (result === BZ_MEM_ERROR) {
    throw new RdpullError(
      'decoder-memory',
      'the machine has no memory left to decode the bzip2 stream',
      'give the machine more RAM',
    );
  }
  throw streamCorrupt('bzip2', `libbz2 reports error ${result}`);
}
