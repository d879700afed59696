import { expect, test } from 'bun:test';
import { RANK } from '../../../src/on-demand/fetch/precedence.ts';
import { createSlots } from '../../../src/on-demand/fetch/slots.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const fill = { rank: RANK.fill };
const reader = { rank: RANK.demand };

test('there is room for 6 MiB of blocks, for two of those that are larger, and for one of the largest', () => {
  expect(createSlots(MIB, 'file').memory).toHaveLength(6);
  expect(createSlots(4 * KIB, 'file').memory).toHaveLength(48);
  expect(createSlots(10 * MIB, 'file').memory).toHaveLength(2);
  expect(createSlots(20 * MIB, 'file').memory).toHaveLength(1);
});

test('the fill leaves some of it to readers, and waits', async () => {
  const slots = createSlots(128 * KIB, 'file');
  for (let count = 0; count < 42; count++) expect(slots.take(fill)).toBeNumber();
  const waiting = slots.take(fill);
  expect(waiting).toBeInstanceOf(Promise);
  const taken = Array.from({ length: 6 }, () => slots.take(reader));
  for (const slot of taken) expect(slot).toBeNumber();
  const read = slots.take(reader);
  slots.give(7);
  expect(await read).toBe(7);
  // Six are readers' again, and the one behind them is for the fill.
  for (const slot of taken) slots.give(Number(slot));
  expect(await Promise.race([waiting, Bun.sleep(20)])).toBeUndefined();
  slots.give(7);
  expect(await waiting).toBe(7);
});

test('of a few nothing is left free: who fills gets the last one, and gives it back', async () => {
  const slots = createSlots(20 * MIB, 'file');
  expect(slots.take(fill)).toBe(0);
  const first = slots.take(fill);
  const urgent = slots.take(reader);
  slots.give(0);
  expect(await urgent).toBe(0);
  slots.give(0);
  expect(await first).toBe(0);
});
