import type { ChunkSeed, SeededChunk } from '../../chunks/chunk-seed.ts';
import type { ChunkStores } from '../../chunks/chunk-stores.ts';
import type { Location } from '../../source/source.ts';
import type { FetchedBlock, FetchRun } from './fetch-run.ts';
import { RANK, type Rank } from './precedence.ts';
import { memoryOf, type RunReader, takeSlot } from './run-reader.ts';

/**
 * Chunks of one run that are asked for at once, each over a connection of its own: a server answers one while another is on its way. Two runs
 * of a fill follow each other, and of those that somebody waits for there are up to four.
 */
const AT_ONCE: Readonly<Record<Rank, number>> = { [RANK.demand]: 4, [RANK.ahead]: 3, [RANK.fill]: 8 };

export interface ChunkRunReader extends Omit<RunReader<ChunkStores>, 'between'> {
  /** The chunks that come from stores at this moment, by their digests. */
  readonly underWay: Map<string, FetchedBlock>;
  /** Nobody reads the image meanwhile, who would have to wait. */
  readonly isAlone: boolean;
  /** Where chunks may lie on this machine, best first. */
  readonly seeds: readonly ChunkSeed[];
  /** Puts a block in its place out of a file of this machine. @returns whether it was that block */
  readonly copy: (block: FetchedBlock, from: SeededChunk) => Promise<boolean>;
  /** A block cannot be had. */
  readonly failed: (block: FetchedBlock, error: unknown) => void;
}

/** Brings the chunks of a run, in any order, and hands on each as soon as it is there. Settles when all were handed on, or have failed. */
export async function readChunks(run: FetchRun, reader: ChunkRunReader): Promise<void> {
  const { precedence, pace, signal, underWay } = reader;
  const begun = performance.now();
  let wasHeldUp = false;
  /** Shared by all lanes: each takes the next one. */
  const blocks = run.blocks[Symbol.iterator]();

  function held(): Promise<void> | undefined {
    if (!precedence.isHeldUp(run)) return undefined;
    wasHeldUp = true;
    return precedence.turn(run);
  }

  async function bring(block: FetchedBlock): Promise<void> {
    const digest = digestOf(block);
    // Of a chunk that the image has twice, the other one may be on its way; or this one is, and comes again.
    const other = underWay.get(digest) ?? block;
    if (other !== block) await other.done.promise.catch(() => undefined);
    for (const from of placesOf(block, reader.seeds)) if (await reader.copy(block, from)) return;
    await held();
    underWay.set(digest, block);
    const forget = () => void (underWay.get(digest) === block && underWay.delete(digest));
    block.done.promise.then(forget, forget);
    await readChunk(run, block, reader, held);
  }

  async function lane(): Promise<void> {
    for (const block of blocks) {
      try {
        signal.throwIfAborted();
        await bring(block);
      } catch (error) {
        reader.failed(block, error);
      }
    }
  }

  precedence.enter(run);
  try {
    await Promise.all(Array.from({ length: lanesFor(run, reader) }, lane));
  } finally {
    precedence.leave(run);
  }
  if (!wasHeldUp) pace.measured(run.to - run.from, performance.now() - begun, 0);
}

/** How many requests keep the network busy, and no more: who comes meanwhile waits for them. */
function lanesFor({ blocks, from, to, rank }: FetchRun, { pace, isAlone }: ChunkRunReader): number {
  const most = Math.min(AT_ONCE[rank], blocks.length);
  if (isAlone || rank === RANK.demand) return most;
  return Math.min(most, Math.max(2, Math.ceil(pace.requestBytes / ((to - from) / blocks.length))));
}

/** Where a chunk may lie here; not where it has lain and did not hold. */
function placesOf(block: FetchedBlock, seeds: readonly ChunkSeed[]): SeededChunk[] {
  const { length, failures } = block;
  if (seeds.length === 0 || failures.length > 0) return [];
  const digest = Buffer.from(digestOf(block), 'hex');
  return seeds.flatMap((seed) => {
    const offset = seed.find(digest, length);
    return offset === undefined ? [] : [{ seed, offset }];
  });
}

function digestOf({ encoding }: FetchedBlock): string {
  if (encoding.kind !== 'chunk') throw new Error('a store has nothing but chunks');
  return encoding.digest;
}

/** From a store to its taker. */
async function readChunk(
  run: FetchRun,
  block: FetchedBlock,
  reader: ChunkRunReader,
  held: () => Promise<void> | undefined,
): Promise<void> {
  const { source, slots } = reader;
  const { length, failures } = block;
  const digest = digestOf(block);
  const slot = await takeSlot(run, reader);
  let stored: { readonly bytes: number; readonly from: Location };
  try {
    const memory = new Uint8Array(memoryOf(slots, slot));
    stored = await source.read({ digest, length }, failures.length, memory, held);
  } catch (error) {
    slots.give(slot);
    throw error;
  }
  reader.complete(block, slot, stored.bytes, stored.from);
}
