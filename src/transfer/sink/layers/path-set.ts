import type { KeptMemory } from '../tar/kept-memory.ts';
import type { MemberPath } from '../tar/member-path.ts';

const FIRST_SLOTS = 1024;
/** The share of the slots that are used before there are twice as many. */
const FULL = 0.8;

/** No path has this hash: it marks a free slot. */
const FREE = 0n;

/**
 * Paths that were seen: 8 bytes for each, more or less, so that a layer of a million files can be kept in mind. What is
 * kept are hashes of 64 bits, with a seed that nobody knows beforehand: of four million paths two have the same once
 * in two million images, and then something that should be hidden is not.
 */
export class PathSet {
  readonly #kept: KeptMemory;
  readonly #seed = crypto.getRandomValues(new BigUint64Array(1))[0] ?? 0n;
  #slots = new BigUint64Array(0);
  #used = 0;

  constructor(kept: KeptMemory) {
    this.#kept = kept;
  }

  /** Whether the first `depth` names of `path` are in it. */
  has(path: MemberPath, depth: number): boolean {
    if (this.#used === 0) return false;
    const hash = this.#hash(path, depth);
    return this.#slots[this.#slotOf(hash)] === hash;
  }

  /**
   * @returns false when they were in it already
   * @throws RdpullError `limit-exceeded`
   */
  add(path: MemberPath, depth: number): boolean {
    if (this.#used >= this.#slots.length * FULL) this.#grow();
    const hash = this.#hash(path, depth);
    const slot = this.#slotOf(hash);
    if (this.#slots[slot] === hash) return false;
    this.#slots[slot] = hash;
    this.#used++;
    return true;
  }

  #hash(path: MemberPath, depth: number): bigint {
    return Bun.hash.wyhash(path.bytes(depth), this.#seed) || 1n;
  }

  /** Where the hash is, or would be. */
  #slotOf(hash: bigint): number {
    const mask = this.#slots.length - 1;
    let slot = Number(hash & 0x7fffffffn) & mask;
    while (this.#slots[slot] !== FREE && this.#slots[slot] !== hash) slot = (slot + 1) & mask;
    return slot;
  }

  #grow(): void {
    const before = this.#slots;
    const slots = before.length === 0 ? FIRST_SLOTS : before.length * 2;
    this.#kept.take(slots * BigUint64Array.BYTES_PER_ELEMENT, 'names in a layer');
    this.#slots = new BigUint64Array(slots);
    for (const hash of before) {
      if (hash !== FREE) this.#slots[this.#slotOf(hash)] = hash;
    }
    this.#kept.release(before.length * BigUint64Array.BYTES_PER_ELEMENT);
  }
}
