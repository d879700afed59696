import { BLOCK_SIZE, wordsOf } from '../../../decode/tar-block.ts';

/** A piece of work that waits, wherever it says `yield`, until there are more bytes or none will come. */
export type Wanting<T> = Generator<void, T, void>;

/** Where a block lies: a view of its own for each would cost as much as all that is done to it. */
export interface Place {
  readonly bytes: Uint8Array;
  /** The same bytes. */
  readonly words: DataView;
  readonly at: number;
}

/** Does something with bytes. */
type Use = (bytes: Uint8Array) => void;

const NOTHING: Uint8Array = new Uint8Array();

/**
 * The bytes of an archive, which come in chunks of any size, as whoever reads it wants them: a block, so many bytes, the next
 * so many bytes as they are. Holds no more than one block. A reader calls with `yield*` what may have to wait, and before it what
 * does not (`Here`): most of an archive is here, and a generator for each piece of it would cost more than all else.
 */
export class TarInput {
  #chunk: Uint8Array = NOTHING;
  /** The same bytes, when a block of them was wanted. */
  #words: DataView | undefined;
  /** How much of the chunk is taken. */
  #at = 0;
  /** Bytes before the chunk. */
  #before = 0;
  #isAtEnd = false;
  /** A block that comes in several chunks. */
  readonly #block = Buffer.alloc(BLOCK_SIZE);
  #fill = 0;

  /** The next chunk, good until whoever reads wants more. */
  give(chunk: Uint8Array): void {
    this.#before += this.#chunk.length;
    this.#chunk = chunk;
    this.#words = undefined;
    this.#at = 0;
  }

  /** There are no more. */
  end(): void {
    this.give(NOTHING);
    this.#isAtEnd = true;
  }

  /** Bytes that were taken. */
  get position(): number {
    return this.#before + this.#at;
  }

  /** Bytes that were given. */
  get bytes(): number {
    return this.#before + this.#chunk.length;
  }

  /** What is there of a block that {@link block} has not found whole. */
  get partialBlock(): Uint8Array {
    return this.#block.subarray(0, this.#fill);
  }

  /** The next block, good until the next bytes are wanted, when all of it is here; undefined when one has to {@link block}. */
  blockHere(): Place | undefined {
    const at = this.#at;
    if (this.#chunk.length - at < BLOCK_SIZE) return undefined;
    this.#at += BLOCK_SIZE;
    this.#words ??= wordsOf(this.#chunk);
    return { bytes: this.#chunk, words: this.#words, at };
  }

  /** The next block, good until the next bytes are wanted; undefined when there is no whole one. */
  *block(): Wanting<Uint8Array | undefined> {
    this.#fill = 0;
    const missing = yield* this.take(BLOCK_SIZE, (bytes) => {
      this.#block.set(bytes, this.#fill);
      this.#fill += bytes.length;
    });
    return missing === 0 ? this.#block : undefined;
  }

  /** Passes over the next `count` bytes, when all of them are here; otherwise one has to {@link take} them. */
  passHere(count: number): boolean {
    if (count > this.#chunk.length - this.#at) return false;
    this.#at += count;
    return true;
  }

  /**
   * Hands to `use` what is here of the next `count` bytes, in a piece that is good during the call.
   *
   * @returns how many of them are still to come
   */
  takeHere(count: number, use: Use): number {
    const here = Math.min(count, this.#chunk.length - this.#at);
    if (here === 0) return count;
    this.#at += here;
    use(this.#chunk.subarray(this.#at - here, this.#at));
    return count - here;
  }

  /**
   * As {@link takeHere}, and waits for the rest.
   *
   * @returns how many of them do not exist
   */
  *take(count: number, use: Use): Wanting<number> {
    let left = this.takeHere(count, use);
    while (left > 0 && !this.#isAtEnd) {
      yield;
      left = this.takeHere(left, use);
    }
    return left;
  }
}
