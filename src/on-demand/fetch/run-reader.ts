import type { Location } from '../../source/source.ts';
import type { FetchedBlock, FetchRun } from './fetch-run.ts';
import type { FillPace } from './fill-pace.ts';
import type { PinnedSource } from './pinned-source.ts';
import type { Precedence } from './precedence.ts';
import type { Slots } from './slots.ts';

export interface RunReader<Source = PinnedSource> {
  readonly source: Source;
  readonly slots: Slots;
  readonly precedence: Precedence;
  readonly pace: FillPace;
  readonly signal: AbortSignal;
  /** All that is stored of a block is in a slot, which is the taker's now: so many bytes, and where they came from. */
  readonly complete: (block: FetchedBlock, slot: number, stored: number, from: Location) => void;
  /** Bytes that belong to no block. */
  readonly between: (offset: number, bytes: Uint8Array) => void;
}

/**
 * Reads the bytes of a run, and hands on each block as soon as it is there.
 *
 * @throws RdpullError when they cannot be had: of those blocks that were not handed on
 */
export async function readRun(run: FetchRun, reader: RunReader): Promise<void> {
  const { source, slots, precedence, pace, signal } = reader;
  const blocks = run.blocks[Symbol.iterator]();
  let block: FetchedBlock | undefined = blocks.next().value;
  let slot: number | undefined;
  let at = run.from;
  const asked = source.present;
  /** When its first bytes came, how many they were, and whether it was held up since: what comes then says nothing of the network. */
  let begun: { readonly at: number; readonly time: number } | undefined;
  let wasHeldUp = false;

  /** Of the present block, what is in the slot. */
  const filled = (slotNumber: number, length: number) =>
    new Uint8Array(memoryOf(slots, slotNumber), 0, length);

  /** Takes what it can of `chunk`, which begins at `at`, for the present block, or for what lies before it. */
  async function take(chunk: Uint8Array): Promise<number> {
    if (block === undefined || at < block.offset) {
      const length = Math.min(chunk.length, (block?.offset ?? run.to) - at);
      reader.between(at, chunk.subarray(0, length));
      return length;
    }
    slot ??= await takeSlot(run, reader);
    const { offset, stored } = block;
    const part = chunk.subarray(0, offset + stored - at);
    new Uint8Array(memoryOf(slots, slot)).set(part, at - offset);
    return part.length;
  }

  /** The present block is complete: it is handed on, with what the next one shares with it kept. */
  async function finish(complete: FetchedBlock, from: number): Promise<void> {
    block = blocks.next().value;
    slot = undefined;
    const shared =
      block !== undefined && block.offset < at
        ? filled(from, complete.stored).slice(block.offset - complete.offset)
        : undefined;
    reader.complete(complete, from, complete.stored, asked);
    if (shared === undefined) return;
    slot = await takeSlot(run, reader);
    new Uint8Array(memoryOf(slots, slot)).set(shared);
  }

  const askedAt = performance.now();
  try {
    for await (const chunk of source.parts(run.from, run.to - run.from)) {
      // Until its first bytes come, what is less urgent has the network.
      precedence.enter(run);
      begun ??= { at: at + chunk.length, time: performance.now() };
      for (let taken = 0; taken < chunk.length; ) {
        const count = await take(chunk.subarray(taken));
        taken += count;
        at += count;
        if (block !== undefined && slot !== undefined && at === block.offset + block.stored)
          await finish(block, slot);
      }
      if (precedence.isHeldUp(run)) {
        wasHeldUp = true;
        await precedence.turn(run);
      }
      signal.throwIfAborted();
    }
    if (begun !== undefined && !wasHeldUp)
      pace.measured(at - begun.at, performance.now() - begun.time, begun.time - askedAt);
  } finally {
    if (slot !== undefined) slots.give(slot);
    precedence.leave(run);
  }
}

/** A slot for the bytes of a run. */
export async function takeSlot(
  run: FetchRun,
  { slots, precedence }: Pick<RunReader<unknown>, 'slots' | 'precedence'>,
): Promise<number> {
  const free = slots.take(run);
  if (typeof free === 'number') return free;
  // Who waits for memory holds nobody up.
  precedence.leave(run);
  const given = await free;
  precedence.enter(run);
  return given;
}

export function memoryOf({ memory }: Slots, slot: number): SharedArrayBuffer {
  const found = memory[slot];
  if (found === undefined) throw new Error(`there is no slot ${slot}`);
  return found;
}
