/** Somebody waits for it; somebody will probably want it; it has to be there in the end. */
export const RANK = { demand: 0, ahead: 1, fill: 2 } as const;
export type Rank = (typeof RANK)[keyof typeof RANK];

/** Something that takes its bytes from the network. */
export interface Ranked {
  rank: Rank;
}

/**
 * Who may read from the network: nobody while what is more urgent is read. Who does not read is held up by the kernel, a few KiB later, and
 * so is its server, and nothing of it is lost.
 */
export interface Precedence {
  enter(reading: Ranked): void;
  leave(reading: Ranked): void;
  /** It has become more urgent. */
  raise(reading: Ranked, rank: Rank): void;
  /** Whether something more urgent is read. */
  isHeldUp(reading: Ranked): boolean;
  /** Waits until it is not. */
  turn(reading: Ranked): Promise<void>;
}

export function createPrecedence(): Precedence {
  const readings = new Set<Ranked>();
  const waiting = new Set<() => void>();

  function isHeldUp({ rank }: Ranked): boolean {
    for (const reading of readings) if (reading.rank < rank) return true;
    return false;
  }

  function wake(): void {
    for (const resolve of waiting) resolve();
    waiting.clear();
  }

  return {
    enter: (reading) => void readings.add(reading),
    leave(reading) {
      if (readings.delete(reading)) wake();
    },
    raise(reading, rank) {
      reading.rank = rank;
      wake();
    },
    isHeldUp,
    async turn(reading) {
      while (isHeldUp(reading)) {
        const { promise, resolve } = Promise.withResolvers<void>();
        waiting.add(resolve);
        await promise;
      }
    },
  };
}
