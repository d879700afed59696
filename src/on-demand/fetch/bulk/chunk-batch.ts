import type { BlockDecoder } from '../../../blocks/block-decoder.ts';
import type { ChunkDigest } from '../../../blocks/chunk-digest.ts';
import { openChunkDigests } from '../../../blocks/chunk-hashing.ts';
import { RdpullError } from '../../../console/rdpull-error.ts';
import { createGatheringFile, type GatheredPart } from './gathering-file.ts';
import type { BulkChunk } from './messages.ts';

/** Chunks in memory at once, by their average length: with as many, the lanes that hash them are busy nearly to the end. */
const CHUNKS = 16;
/** Bytes of memory, at least and at most. */
const LEAST = 512 * 1024;
const MOST = 16 * 1024 * 1024;

/** Chunks that are unpacked, and wait for others: many are hashed at once in less time, and written. */
export interface ChunkBatch {
  /**
   * @param stored what the store has of a chunk, which is not to be believed; undefined: nothing
   * @throws RdpullError what is no property of a chunk, such as decoder-memory; Error as of {@link settle}
   */
  add(chunk: BulkChunk, stored: Uint8Array | undefined): void;
  /** Whether nothing waits. */
  readonly isEmpty: boolean;
  /**
   * Hashes all that waits, and writes what holds, in all its places.
   *
   * @throws Error of write(2)
   */
  settle(): void;
}

export interface ChunkBatchOptions {
  /** The file of the image. */
  readonly fd: number;
  readonly algorithm: ChunkDigest;
  /** The average length of a chunk. */
  readonly average: number;
}

/** What is known of a chunk: its bytes are its own, or nobody has looked yet, or there are none. */
interface Waiting {
  readonly chunk: BulkChunk;
  readonly bytes: Uint8Array | undefined;
  readonly isChecked: boolean;
}

/**
 * @param judged told of each chunk, in the order in which they came, whether it is good and in its place
 */
export function openChunkBatch(
  { fd, algorithm, average }: ChunkBatchOptions,
  decoder: BlockDecoder,
  judged: (chunk: BulkChunk, isGood: boolean) => void,
): ChunkBatch {
  const file = createGatheringFile(fd, Math.min(MOST, Math.max(LEAST, CHUNKS * average)));
  const digests = openChunkDigests(algorithm);
  let waiting: Waiting[] = [];

  function place(length: number): Uint8Array {
    const free = file.place(length);
    if (free !== undefined) return free;
    settle();
    const all = file.place(length);
    if (all === undefined) throw new Error('what was written still takes memory');
    return all;
  }

  function settle(): void {
    const settled = waiting;
    waiting = [];
    const good = goodOf(settled);
    let isWritten = false;
    try {
      file.write(partsOf(good));
      isWritten = true;
    } finally {
      // Where nothing can be written, nothing has arrived: who comes next finds out why.
      for (const { chunk } of settled) judged(chunk, isWritten && good.has(chunk));
    }
  }

  function goodOf(settled: readonly Waiting[]): Map<BulkChunk, Uint8Array> {
    const unchecked = settled.flatMap(({ bytes, isChecked }) =>
      bytes === undefined || isChecked ? [] : [bytes],
    );
    const actual = digests.of(unchecked).values();
    const good = new Map<BulkChunk, Uint8Array>();
    for (const { chunk, bytes, isChecked } of settled)
      if (bytes !== undefined && (isChecked || actual.next().value === chunk.digest)) good.set(chunk, bytes);
    return good;
  }

  /** @returns what is known of it */
  function unpack(chunk: BulkChunk, stored: Uint8Array): Waiting {
    const { length, digest } = chunk;
    const bytes = place(length);
    if (decoder.unpackOnly(stored, bytes)) return { chunk, bytes, isChecked: false };
    try {
      decoder.decode(stored, { kind: 'chunk', algorithm, digest }, bytes);
      return { chunk, bytes, isChecked: true };
    } catch (error) {
      if (error instanceof RdpullError && error.code === 'chunk-damaged')
        return { chunk, bytes: undefined, isChecked: true };
      throw error;
    }
  }

  /** What follows each other in memory and in the file stays together: what lies in other places, too, comes behind it. */
  function partsOf(good: ReadonlyMap<BulkChunk, Uint8Array>): readonly GatheredPart[] {
    const parts = Array.from(good, ([{ start }, bytes]): GatheredPart => ({ start, bytes }));
    for (const [{ otherStarts }, bytes] of good)
      for (const start of otherStarts) parts.push({ start, bytes });
    return parts;
  }

  return {
    add(chunk, stored) {
      const one = stored === undefined ? { chunk, bytes: undefined, isChecked: true } : unpack(chunk, stored);
      waiting.push(one);
    },
    get isEmpty() {
      return waiting.length === 0;
    },
    settle,
  };
}
