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
    const end = this.#end(offset, length);
    for (let page = firstOf(offset); page < end; page = nextWord(page)) {
      const mask = maskOf(page, end);
      if ((Atomics.load(this.#words, wordOf(page)) & mask) !== mask) return false;
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
    const end = this.#end(offset, length);
    for (let page = firstOf(offset); page < end; page = nextWord(page)) {
      const mask = maskOf(page, end);
      added += bitsOf(mask & ~Atomics.or(this.#words, wordOf(page), mask));
    }
    return added;
  }

  /** The page behind a range. */
  #end(offset: number, length: number): number {
    return Math.min(Math.ceil((offset + length) / PAGE_BYTES), this.#pages);
  }
}

function firstOf(offset: number): number {
  return Math.floor(offset / PAGE_BYTES);
}

function wordOf(page: number): number {
  return Math.floor(page / PAGES_PER_WORD);
}

/** The first page of the word behind that of a page. */
function nextWord(page: number): number {
  return page + PAGES_PER_WORD - (page % PAGES_PER_WORD);
}

/** The bits of the pages from `page` up to `end`, as far as they are in one word. */
function maskOf(page: number, end: number): number {
  const bit = page % PAGES_PER_WORD;
  const count = Math.min(PAGES_PER_WORD - bit, end - page);
  return count === PAGES_PER_WORD ? ALL : ((1 << count) - 1) << bit;
}

/** How many bits of a word are set. */
function bitsOf(word: number): number {
  let count = 0;
  for (let rest = word; rest !== 0; rest &= rest - 1) count++;
  return count;
}
