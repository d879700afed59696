import { size as shownSize } from '../console/quantity.ts';
import { type Content, MAX_BLOCK_BYTES, MAX_STORED_BYTES, type MapResult, noMap } from './block-map.ts';

/** Blocks of one file at most: 1 TiB in blocks of 1 MiB. A table of them takes 32 MiB. */
export const MAX_BLOCKS = 1024 * 1024;

/** Columns of a row. */
const OFFSET = 0;
const LENGTH = 1;
const END = 2;
const TAG = 3;
const COLUMNS = 4;

export interface TableBlock {
  /** In bytes of the image. */
  readonly start: number;
  readonly length: number;
  /** In bytes of the file. */
  readonly offset: number;
  readonly stored: number;
  /** What its format has to say of it besides. */
  readonly tag: number;
}

/** Blocks that follow each other in the image, of any lengths. */
export class BlockTable {
  #rows = new Float64Array(COLUMNS * 1024);
  #count = 0;
  #size = 0;
  #largest = 0;
  #largestStored = 0;

  get count(): number {
    return this.#count;
  }

  /** Sum of the lengths of all blocks. */
  get size(): number {
    return this.#size;
  }

  get largest(): number {
    return this.#largest;
  }

  get largestStored(): number {
    return this.#largestStored;
  }

  /** Puts a block behind the others. One of no bytes is left out. The caller has bounded their number, and their sum. */
  add({ offset, stored, length, tag }: Omit<TableBlock, 'start'>): void {
    if (length === 0) return;
    const row = this.#count * COLUMNS;
    if (row === this.#rows.length) {
      const rows = new Float64Array(this.#rows.length * 2);
      rows.set(this.#rows);
      this.#rows = rows;
    }
    this.#rows[row + OFFSET] = offset;
    this.#rows[row + LENGTH] = stored;
    this.#size += length;
    this.#rows[row + END] = this.#size;
    this.#rows[row + TAG] = tag;
    this.#count++;
    this.#largest = Math.max(this.#largest, length);
    this.#largestStored = Math.max(this.#largestStored, stored);
  }

  /** The block with byte `offset` of the image. */
  at(offset: number): TableBlock {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#column(middle, END) <= offset) low = middle + 1;
      else high = middle;
    }
    if (low === this.#count || offset < 0) throw new RangeError(`no block has byte ${offset}`);
    const start = low === 0 ? 0 : this.#column(low - 1, END);
    return {
      start,
      length: this.#column(low, END) - start,
      offset: this.#column(low, OFFSET),
      stored: this.#column(low, LENGTH),
      tag: this.#column(low, TAG),
    };
  }

  #column(row: number, column: number): number {
    return this.#rows[row * COLUMNS + column] ?? Number.NaN;
  }
}

/**
 * The map of a format that lists its blocks, if it is worth one.
 *
 * @param part what such a block is called, for messages
 * @param remedy how to make a file that is fit
 */
export function tableMap(
  format: 'xz' | 'zstd',
  table: BlockTable,
  part: string,
  remedy: string,
  contentOf: (block: TableBlock) => Content,
): MapResult {
  if (table.count < 2)
    return noMap(table.count === 0 ? 'is empty' : `is a single ${part} of ${format}`, remedy);
  const { largest, largestStored } = table;
  if (largest > MAX_BLOCK_BYTES || largestStored > MAX_STORED_BYTES) {
    return noMap(
      `has a ${part} of ${shownSize(Math.max(largest, largestStored))}, and ${shownSize(MAX_BLOCK_BYTES)} is the most that is read at once`,
      remedy,
    );
  }
  return {
    kind: 'map',
    map: {
      format,
      size: table.size,
      largestBlock: largest,
      largestStored,
      async at(offset) {
        const block = table.at(offset);
        return { start: block.start, length: block.length, content: contentOf(block) };
      },
    },
  };
}
