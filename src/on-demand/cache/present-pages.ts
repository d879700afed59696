/** What the kernel reads a cached image in, in bytes, and what is there or not. */
export const PAGE_BYTES = 4096;

const PAGES_PER_WORD = 32;
const ALL = -1;

/**
 * Which pages of an image are there. One thread sets them, when their bytes are in the cache; all may look, also in memory
 * that they share.
 */
export class PresentPages {
  readonly bits: SharedArrayBuffer;
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #pages: number;

  /**
   * @param size bytes of the image
   * @param bits of an object of another thread, for the same image
   */
  constructor(size: number, bits?: SharedArrayBuffer) {
    this.#pages = Math.ceil(size / PAGE_BYTES);
    const bytes = Math.ceil(this.#pages / PAGES_PER_WORD) * Int32Array.BYTES_PER_ELEMENT;
    if (bits !== undefined && bits.byteLength !== bytes)
      throw new RangeError('these are the pages of another image');
    this.bits = bits ?? new SharedArrayBuffer(bytes);
    this.#words = new Int32Array(this.bits);
  }

  /** Whether all pages that a range touches are there; what lies beyond the end of the image is not asked for. */
  has(offset: number, length: number): boolean {
    for (const [word, mask] of this.#masks(offset, length)) {
      if ((Atomics.load(this.#words, word) & mask) !== mask) return false;
    }
    return true;
  }

  /**
   * All pages that a range touches are there from now on: whoever calls this has all of their bytes.
   *
   * @returns how many of them were not
   */
  set(offset: number, length: number): number {
    let added = 0;
    for (const [word, mask] of this.#masks(offset, length)) {
      added += bitsOf(mask & ~Atomics.or(this.#words, word, mask));
    }
    return added;
  }

  /** The words that have the pages of a range, and which of their bits. */
  *#masks(offset: number, length: number): Generator<readonly [word: number, mask: number]> {
    const first = Math.floor(offset / PAGE_BYTES);
    const end = Math.min(Math.ceil((offset + length) / PAGE_BYTES), this.#pages);
    for (let page = first; page < end; ) {
      const bit = page % PAGES_PER_WORD;
      const count = Math.min(PAGES_PER_WORD - bit, end - page);
      yield [(page - bit) / PAGES_PER_WORD, count === PAGES_PER_WORD ? ALL : ((1 << count) - 1) << bit];
      page += count;
    }
  }
}

/** How many bits of a word are set. */
function bitsOf(word: number): number {
  let count = 0;
  for (let rest = word; rest !== 0; rest &= rest - 1) count++;
  return count;
}
