import { type Inflater, openDeflateDecoder, openGzipCodec } from '../decode/gzip.ts';
import { type MemberCodec, streamCorrupt } from '../decode/member-decoder.ts';
import { openXzCodec } from '../decode/xz.ts';
import { openXzBlockDecoder } from '../decode/xz-block.ts';
import { openZstdCodec } from '../decode/zstd.ts';
import type { Encoding } from './block-map.ts';
import { unpackChunk } from './chunk-decoder.ts';

/** Makes the bytes of an image of stored ones. Synchronous, and slow: for a thread that has nothing else to do. */
export interface BlockDecoder extends Disposable {
  /**
   * @param stored what the file has of the block
   * @param output takes the block: as long as it is
   * @throws RdpullError stream-corrupt when anything is not as it has to be: the integrity checks of the format, its headers,
   *   or the lengths; chunk-damaged when a chunk is another one; stream-unsupported, decoder-memory
   */
  decode(stored: Uint8Array, encoding: Encoding, output: Uint8Array): void;
  /**
   * Unpacks a chunk as casync packs it by default, and leaves it to the caller to check its digest, of many at once.
   *
   * @returns whether all of `output` is made; else {@link decode} knows what there is
   */
  unpackOnly(stored: Uint8Array, output: Uint8Array): boolean;
}

/** A decoder for every encoding; their libraries are loaded when the first block wants them. */
export function openBlockDecoder(): BlockDecoder {
  const xz = once(openXzBlockDecoder);
  const zstd = once(openZstdCodec);
  const deflate = once(openDeflateDecoder);
  const gzip = once(openGzipCodec);
  const xzStream = once(() => openXzCodec(0));

  return {
    decode(stored, encoding, output) {
      switch (encoding.kind) {
        case 'plain':
          output.set(stored);
          break;
        case 'xz-block':
          xz.get().decode(stored, encoding.check, output);
          break;
        case 'zstd-frame':
          decodeFrame(zstd.get(), stored, output);
          checkFrame(encoding.checksum, output);
          break;
        case 'qcow2-cluster':
          if (encoding.compression === 'zstd') decodeCluster(zstd.get(), true, stored, output);
          else decodeCluster(deflate.get(), false, stored, output);
          break;
        case 'chunk':
          unpackChunk(stored, encoding, output, (compression) => {
            if (compression === 'zstd') return zstd.get();
            return compression === 'xz' ? xzStream.get() : gzip.get();
          });
          break;
      }
    },
    unpackOnly(stored, output) {
      return zstd.get().whole?.(stored, output) === true;
    },
    [Symbol.dispose]() {
      zstd.opened()?.close();
      xzStream.opened()?.close();
    },
  };
}

/** The frame is all of `stored`, and `output` all of what comes out of it. */
function decodeFrame(codec: MemberCodec, stored: Uint8Array, output: Uint8Array): void {
  codec.begin();
  let taken = 0;
  let filled = 0;
  for (;;) {
    const step = codec.step(stored.subarray(taken), output.subarray(filled), true);
    taken += step.consumed;
    filled += step.produced;
    if (step.ended) break;
    if (step.consumed === 0 && step.produced === 0) throw contradiction();
  }
  if (taken !== stored.length || filled !== output.length) throw contradiction();
}

function checkFrame(checksum: number | undefined, output: Uint8Array): void {
  if (checksum === undefined) return;
  if (Number(Bun.hash.xxHash64(output) & 0xffffffffn) !== checksum) {
    throw streamCorrupt('zstd', 'the checksum of a frame in the seek table does not match');
  }
}

function contradiction(): Error {
  return streamCorrupt('zstd', 'a frame is not what the seek table says');
}

/**
 * As QEMU reads it: until the cluster is full, whatever follows.
 *
 * @param hasFrames whether it takes as many of them as it needs, and not one alone
 */
function decodeCluster(codec: Inflater, hasFrames: boolean, stored: Uint8Array, output: Uint8Array): void {
  codec.begin();
  let taken = 0;
  for (let filled = 0; filled < output.length; ) {
    const step = codec.step(stored.subarray(taken), output.subarray(filled), true);
    taken += step.consumed;
    filled += step.produced;
    const stuck = step.consumed === 0 && step.produced === 0;
    if (filled < output.length && (stuck || (step.ended && !hasFrames))) {
      throw streamCorrupt('qcow2', 'a compressed cluster ends too early');
    }
  }
}

/** Opened when it is wanted for the first time. */
function once<T>(open: () => T): { get(): T; opened(): T | undefined } {
  let opened: T | undefined;
  return {
    get() {
      opened ??= open();
      return opened;
    },
    opened: () => opened,
  };
}
