import { keepBytes } from '../kept-bytes.ts';
import { releaseBytes } from './release-bytes.ts';

/**
 * What is shorter, in bytes, is put together with what follows: a chunk by itself costs more than itself, and keeps all that came
 * with it.
 */
const SHORT = 512;
const TOGETHER = 16 * 1024;

/** Chunks of a body that have arrived and nobody has asked for, in their order. */
export interface ChunkQueue {
  /** Bytes that are in it. */
  readonly bytes: number;
  add(chunk: Uint8Array): void;
  /** The next chunk, which is valid until the one behind it is taken; undefined when none is here. */
  take(): Uint8Array | undefined;
  clear(): void;
}

export function createChunkQueue(): ChunkQueue {
  const queue: Uint8Array[] = [];
  let bytes = 0;
  /** What has come in short chunks, behind all that is in the queue. */
  let together = keepBytes(TOGETHER);
  let taken: Uint8Array | undefined;

  function endTogether(): void {
    if (together.length === 0) return;
    queue.push(together.bytes());
    together = keepBytes(TOGETHER);
  }

  return {
    get bytes() {
      return bytes;
    },
    add(chunk) {
      bytes += chunk.length;
      if (chunk.length < SHORT && together.add(chunk)) return;
      endTogether();
      if (chunk.length >= SHORT) queue.push(chunk);
      else together.add(chunk);
    },
    take() {
      if (queue.length === 0) endTogether();
      const chunk = queue.shift();
      if (chunk === undefined) return undefined;
      releaseBytes(taken);
      taken = chunk;
      bytes -= chunk.length;
      return chunk;
    },
    clear() {
      queue.length = 0;
      bytes = 0;
      together = keepBytes(0);
    },
  };
}
