import type { Block, BlockMap } from '../../blocks/block-map.ts';
import type { BlockState, ComingBlocks } from './coming-blocks.ts';
import { type FetchedBlock, type FetchRun, follows, NEEDED_GAP, runOf } from './fetch-run.ts';
import type { FillPace } from './fill-pace.ts';
import { RANK } from './precedence.ts';

export interface ImageFillOptions {
  readonly map: BlockMap;
  readonly coming: ComingBlocks;
  readonly pace: Pick<FillPace, 'requestBytes' | 'atOnce' | 'spent' | 'pause'>;
  /** Waits for readers. */
  readonly turn: () => Promise<void>;
  /** Whether what lies between blocks is of use, too. */
  readonly needsAll: boolean;
  /** Makes one request; its blocks tell what becomes of them. */
  readonly request: (run: FetchRun) => Promise<void>;
  /** Brings the block at this byte of the image as what is read ahead; undefined: it is there. */
  readonly ahead: (start: number) => Promise<FetchedBlock | undefined>;
  readonly signal: AbortSignal;
}

/**
 * Brings all blocks that nobody has asked for, in the order of the image, at the pace of the fill; then what others wanted meanwhile, if they
 * have not got it.
 *
 * @throws RdpullError of the first block that cannot be had; the reason of the signal
 */
export async function fillImage(options: ImageFillOptions): Promise<void> {
  const { pace, turn, request, ahead, signal } = options;
  const walk = createWalk(options);
  const awaited = createAwaitedBlocks();
  const requests = new Set<Promise<void>>();
  for (;;) {
    while (requests.size >= pace.atOnce) await Promise.race(requests);
    await pauseFor(pace.pause, signal);
    await turn();
    signal.throwIfAborted();
    const run = awaited.haveFailed ? undefined : await walk.next();
    if (run === undefined) break;
    pace.spent(run.to - run.from);
    run.blocks.forEach(awaited.add);
    const made = request(run).finally(() => requests.delete(made));
    requests.add(made);
  }
  await Promise.all(requests);
  await awaited.settled();
  for (const start of walk.leftToOthers) {
    const block = await ahead(start);
    if (block !== undefined) awaited.add(block);
  }
  await awaited.settled();
  awaited.throwIfFailed();
}

/** The way through an image, from one request to the next. */
interface Walk {
  /** The next blocks that nobody has asked for, for one request; undefined at the end. */
  next(): Promise<FetchRun | undefined>;
  /** Where blocks begin that were on their way already. */
  readonly leftToOthers: readonly number[];
}

function createWalk({ map, coming, pace, needsAll }: ImageFillOptions): Walk {
  /** How far it is in the image, and in the file. */
  const at = { image: 0, file: 0 };
  const leftToOthers: number[] = [];

  function pass({ start, length, content }: Block): void {
    at.image = start + length;
    if (content.kind === 'stored') at.file = Math.max(at.file, content.offset + content.length);
  }

  /** Whether a request has to end before a block. */
  function endsBefore(
    block: Block,
    state: BlockState,
    taken: readonly FetchedBlock[],
    most: number,
  ): boolean {
    const [first] = taken;
    const last = taken.at(-1);
    if (first === undefined || last === undefined || block.content.kind === 'zeros') return false;
    if (state.kind !== 'missing') return true;
    const { offset, length: stored } = state.stored;
    return offset + stored - first.offset > most || !follows(last, { offset, stored }, needsAll);
  }

  /** Where a request begins whose first block is at `offset`: what lies before it is needed for the digest, too. */
  function leadOf(offset: number): number {
    const lead = offset - at.file;
    return needsAll && lead > 0 && lead <= NEEDED_GAP ? at.file : offset;
  }

  return {
    leftToOthers,
    async next() {
      const taken: FetchedBlock[] = [];
      const most = pace.requestBytes;
      let from = at.file;
      while (at.image < map.size) {
        const block = await map.at(at.image);
        const state = coming.stateOf(block);
        if (endsBefore(block, state, taken, most)) break;
        if (state.kind === 'coming') leftToOthers.push(block.start);
        if (state.kind === 'missing') {
          if (taken.length === 0) from = leadOf(state.stored.offset);
          taken.push(coming.begin(block, state.stored, RANK.fill));
        }
        pass(block);
      }
      return taken.length === 0 ? undefined : runOf(taken, from);
    },
  };
}

/** Blocks that have to come. */
interface AwaitedBlocks {
  readonly add: (block: FetchedBlock) => void;
  readonly haveFailed: boolean;
  /** Waits until all have come, or will not. */
  settled(): Promise<void>;
  /** @throws the reason of the first one that will not come */
  throwIfFailed(): void;
}

function createAwaitedBlocks(): AwaitedBlocks {
  const awaited = new Set<Promise<void>>();
  let failure: { readonly error: unknown } | undefined;
  return {
    add({ done }) {
      const settled = done.promise
        .catch((error: unknown) => {
          failure ??= { error };
        })
        .finally(() => awaited.delete(settled));
      awaited.add(settled);
    },
    get haveFailed() {
      return failure !== undefined;
    },
    async settled() {
      await Promise.all(awaited);
    },
    throwIfFailed() {
      if (failure !== undefined) throw failure.error;
    },
  };
}

async function pauseFor(milliseconds: number, signal: AbortSignal): Promise<void> {
  if (milliseconds <= 0) return;
  const { setTimeout } = await import('node:timers/promises');
  await setTimeout(milliseconds, undefined, { signal });
}
