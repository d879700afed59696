import { expect, test } from 'bun:test';
import { createGathering } from '../../../src/source/http/gathering.ts';

const KIB = 1024;

/** A body of which a MiB has come, within a time in ms. */
async function bodyBegun(milliseconds: number) {
  let over = 0;
  const gathering = createGathering(() => void over++);
  for (let part = 0; part < 64; part++) expect(gathering.begins(16 * KIB)).toBe(false);
  await Bun.sleep(milliseconds);
  return { gathering, over: () => over };
}

test('a short chunk of a slow body is followed by a moment in which nothing is read', async () => {
  const { gathering, over } = await bodyBegun(30);
  expect(gathering.begins(KIB)).toBe(true);
  expect(gathering.isOn).toBe(true);
  // One is enough.
  expect(gathering.begins(KIB)).toBe(false);
  await Bun.sleep(30);
  expect(gathering.isOn).toBe(false);
  expect(over()).toBe(1);
  expect(gathering.begins(KIB)).toBe(true);
});

test('not so a long chunk, a body that comes fast, and the first MiB of any', async () => {
  const slow = await bodyBegun(30);
  expect(slow.gathering.begins(64 * KIB)).toBe(false);
  const fast = await bodyBegun(0);
  expect(fast.gathering.begins(KIB)).toBe(false);
  const gathering = createGathering(() => undefined);
  gathering.begins(KIB);
  await Bun.sleep(30);
  expect(gathering.begins(KIB)).toBe(false);
});

test('the end of a body ends it, and nobody is told', async () => {
  const { gathering, over } = await bodyBegun(30);
  expect(gathering.begins(KIB)).toBe(true);
  gathering.end();
  await Bun.sleep(30);
  expect(gathering.isOn).toBe(false);
  expect(over()).toBe(0);
});
