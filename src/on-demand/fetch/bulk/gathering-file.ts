import { startWriteback } from '../../../kernel/writeback.ts';
import { writeData } from '../placing/write-data.ts';

/** What is gathered before it is written, in bytes: a write for each small chunk would cost more than the chunk. It stays in the processor's cache. */
const GATHERED = 256 * 1024;
/** How many new bytes there are when they are sent on to the disk, so that the end has less to wait for. */
const FLUSH_BYTES = 16 * 1024 * 1024;

/** A file that is written chunk by chunk, mostly in its order. */
export interface GatheringFile {
  /**
   * Memory for the bytes from `start` on, until this is called again. They count when {@link taken} says so.
   *
   * @throws Error of write(2)
   */
  place(start: number, length: number): Uint8Array;
  taken(length: number): void;
  /**
   * Writes all that was taken.
   *
   * @throws Error of write(2): then none of what was taken since the last time is to be counted upon
   */
  write(): void;
}

export function createGatheringFile(fd: number): GatheringFile {
  let memory = Buffer.alloc(GATHERED);
  /** The bytes of the file that are in the memory. */
  let from = 0;
  let filled = 0;
  let unflushed = 0;

  function write(): void {
    writeData(fd, memory.subarray(0, filled), from);
    unflushed += filled;
    filled = 0;
    if (unflushed < FLUSH_BYTES) return;
    unflushed = 0;
    startWriteback(fd);
  }

  return {
    place(start, length) {
      if (start !== from + filled || (filled > 0 && filled + length > GATHERED)) {
        write();
        from = start;
      }
      if (memory.length < length) memory = Buffer.alloc(length);
      return memory.subarray(filled, filled + length);
    },
    taken(length) {
      filled += length;
    },
    write,
  };
}
