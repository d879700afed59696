import type { PartsInProgress } from '../on-demand/image-keeper.ts';
import type { Fetched } from '../transfer/copies.ts';
import type { KeptCopy } from './kept-copy.ts';

/** Bytes that wait for the disk: from so many on, what nobody waits for is not fetched before some are written. */
const HOLDS_UP = 4 * 1024 * 1024;
/** More is more memory than it is worth. Readers, whom no disk of a cache holds up, bring that where it is much slower than they are. */
const MOST = 16 * 1024 * 1024;

/** What is made of the copy, and what becomes of one that cannot be kept. */
export interface PartsEnd {
  /** All of it is written. */
  readonly complete: (fetched: Fetched) => Promise<void>;
  /** Why it is given up; once. */
  readonly notKept: (error: unknown) => void;
}

/** A file whose parts come in any order, while somebody reads what is in them: he waits for the network, and never for the disk of the cache. */
export class KeptParts implements PartsInProgress {
  readonly #copy: KeptCopy;
  readonly #end: PartsEnd;
  readonly #underWay = new Set<Promise<void>>();
  #waiting = 0;
  #isGone = false;

  constructor(copy: KeptCopy, end: PartsEnd) {
    this.#copy = copy;
    this.#end = end;
  }

  readonly add = (offset: number, bytes: Uint8Array): void => {
    if (this.#isGone) return;
    if (this.#waiting + bytes.length > MOST) {
      this.#giveUp(new Error('the disk is much slower than what is read'));
      return;
    }
    // The memory is used again when this returns.
    const written = this.#write(offset, Uint8Array.from(bytes)).finally(() => this.#underWay.delete(written));
    this.#underWay.add(written);
  };

  async ready(): Promise<void> {
    while (this.#waiting >= HOLDS_UP) await Promise.race(this.#underWay);
  }

  async complete(fetched: Fetched): Promise<void> {
    await Promise.all(this.#underWay);
    if (this.#isGone) return;
    try {
      await this.#end.complete(fetched);
    } catch (error) {
      this.#giveUp(error);
    }
  }

  async #write(offset: number, part: Uint8Array): Promise<void> {
    this.#waiting += part.length;
    try {
      await this.#copy.put(offset, part);
    } catch (error) {
      this.#giveUp(error);
    } finally {
      this.#waiting -= part.length;
    }
  }

  #giveUp(error: unknown): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#end.notKept(error);
  }

  [Symbol.dispose](): void {
    this.#isGone = true;
    // A descriptor that is closed before may be another file's when it is the turn of what waits.
    void Promise.all(this.#underWay).then(() => this.#copy[Symbol.dispose]());
  }
}
