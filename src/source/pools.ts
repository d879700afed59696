import type { OriginPool } from './http/origin-pool.ts';

/**
 * The connections of one pull: a pool for each server, and for what it was shown. Nothing is loaded for them before there is
 * one to keep.
 */
export class Pools implements Disposable {
  readonly #pools = new Map<string, OriginPool>();

  /** The pool of that name, which is made where there is none. */
  of(name: string, make: () => OriginPool): OriginPool {
    const pool = this.#pools.get(name) ?? make();
    this.#pools.set(name, pool);
    return pool;
  }

  [Symbol.dispose](): void {
    for (const pool of this.#pools.values()) pool.close();
    this.#pools.clear();
  }
}
