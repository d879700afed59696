import type { Encoding } from '../../blocks/block-map.ts';
import type { RdpullError } from '../../console/rdpull-error.ts';
import { RANK, type Rank, type Ranked } from './precedence.ts';

/** A block whose stored bytes are fetched: by one request, for all who want it. */
export interface FetchedBlock {
  /** In bytes of the image. */
  readonly start: number;
  readonly length: number;
  /** In bytes of the file. */
  readonly offset: number;
  readonly stored: number;
  readonly encoding: Encoding;
  /** Settles when it is in the cache, or can never be. */
  readonly done: PromiseWithResolvers<void>;
  rank: Rank;
  /** The request that brings it; undefined as long as it waits for one. */
  run: FetchRun | undefined;
  /** How often it came, and did not hold. */
  failures: RdpullError[];
}

/** Blocks that lie together in the file, and are one request. */
export interface FetchRun extends Ranked {
  /** In the order of the file; none ends behind the one that follows it. */
  readonly blocks: readonly FetchedBlock[];
  /** Bytes of the file, from the first to behind the last: what lies between the blocks too. */
  readonly from: number;
  readonly to: number;
}

/** What may lie between two blocks of one request, in bytes, where nobody needs it. */
const GAP = 4096;
/** And where all bytes are needed, for the digest. */
export const NEEDED_GAP = 64 * 1024;
/** The last bytes of a compressed cluster may be the first of the next: at most a sector. */
const OVERLAP = 512;

/**
 * Of blocks in any order, the first and those that lie behind it in the file.
 *
 * @param most bytes of the request, if it is more than one block
 * @param needsAll whether what lies between blocks is of use, too
 */
export function takeRun(queue: FetchedBlock[], most: number, needsAll: boolean): FetchRun | undefined {
  const first = queue.shift();
  if (first === undefined) return undefined;
  const blocks = [first];
  let last = first;
  for (;;) {
    // Side by side in the image, too: else what lies between them in the file may be a block that is here already.
    const index = queue.findIndex(
      (block) => block.start === last.start + last.length && follows(last, block, needsAll),
    );
    const next = queue[index];
    if (next === undefined || next.offset + next.stored - first.offset > most) break;
    queue.splice(index, 1);
    blocks.push(next);
    last = next;
  }
  return runOf(blocks, first.offset);
}

/** Whether a block can be fetched with the one before it, if there is no other between them. */
export function follows(
  last: FetchedBlock,
  { offset, stored }: Pick<FetchedBlock, 'offset' | 'stored'>,
  needsAll: boolean,
): boolean {
  const end = last.offset + last.stored;
  const gap = needsAll ? NEEDED_GAP : GAP;
  return offset > last.offset && offset >= end - OVERLAP && offset <= end + gap && offset + stored > end;
}

/** @param from the first byte, which may lie before the first block */
export function runOf(blocks: readonly FetchedBlock[], from: number): FetchRun {
  const last = blocks.at(-1);
  const [urgent] = blocks.toSorted((one, other) => one.rank - other.rank);
  const rank = urgent?.rank ?? RANK.fill;
  const run: FetchRun = { blocks, from, to: last === undefined ? from : last.offset + last.stored, rank };
  for (const block of blocks) block.run = run;
  return run;
}
