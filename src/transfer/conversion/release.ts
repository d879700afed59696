/** The unit of room: the page of tmpfs, and the block of every file system. */
const UNIT = 4096;
/** Compressed clusters lie packed: the last sector of one may be the first of the next. */
const SHARED_BYTES = 512;
/** What is given back at once, in bytes. */
const AT_ONCE = 1024 * 1024;

/**
 * Follows the reading of a file whose parts are read once and in their order, and tells which of them nobody needs any more.
 *
 * @param free takes such a part
 */
export function createRelease(free: (offset: number, length: number) => void): {
  /** A part was read. */
  read(offset: number, length: number): void;
} {
  let start = 0;
  let end = 0;

  function flush(): void {
    const from = Math.ceil(start / UNIT) * UNIT;
    const to = Math.floor((end - SHARED_BYTES) / UNIT) * UNIT;
    if (to > from) free(from, to - from);
    start = Math.max(start, to);
  }

  return {
    read(offset, length) {
      // Between parts that do not touch there may be what is still needed.
      if (offset < end - SHARED_BYTES || offset > end) {
        flush();
        start = offset;
      }
      end = offset + length;
      if (end - start >= AT_ONCE) flush();
    },
  };
}

/** Whether a part lies behind what was read before it, or begins with the last sector of that. */
export function isBehind(offset: number, end: number): boolean {
  return offset >= end - SHARED_BYTES;
}
