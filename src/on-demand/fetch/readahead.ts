/** Readers that are followed at once. */
const READERS = 8;
const MOST_BYTES = 4 * 1024 * 1024;

/** Guesses what will be wanted next. */
export interface Readahead {
  /**
   * Somebody wants a part of the image that is not there.
   *
   * @returns how much behind it is worth fetching, in bytes: none when nothing says that it will be wanted
   */
  wanted(offset: number, length: number): number;
}

/**
 * Who goes on where he had been, or where what was fetched for him ends, reads on: twice as much is fetched each time. All others are
 * given what they want.
 */
export function createReadahead(): Readahead {
  /** The one that was followed last is the last. */
  const readers: { from: number; next: number; ahead: number }[] = [];

  return {
    wanted(offset, length) {
      const end = offset + length;
      const index = readers.findIndex(({ from, next }) => offset >= from && offset <= next && end > next);
      const [reader = { from: offset, next: end, ahead: 0 }] = index < 0 ? [] : readers.splice(index, 1);
      if (index >= 0) reader.ahead = Math.min(MOST_BYTES, Math.max(length, 2 * reader.ahead));
      reader.from = offset;
      reader.next = end + reader.ahead;
      readers.push(reader);
      if (readers.length > READERS) readers.shift();
      return reader.ahead;
    },
  };
}
