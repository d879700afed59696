import { expect, test } from 'bun:test';
import { boundLines } from '../../src/console/bounded-lines.ts';

function bounded(most: number) {
  const written: string[] = [];
  return { written, ...boundLines(most, (text) => written.push(text)) };
}

test('of many lines the first ones are written, and of the others the number', () => {
  const { written, add, end } = bounded(3);
  for (let i = 0; i < 20_000; i++) add(`line ${i}`);
  expect(written).toEqual(['line 0', 'line 1', 'line 2']);
  end();
  expect(written.slice(3)).toEqual(['and 19,997 more lines like these']);
});

test('the number is told once', () => {
  const { written, add, end } = bounded(1);
  for (const text of ['a', 'b', 'c']) add(text);
  end();
  end();
  add('d');
  end();
  expect(written).toEqual(['a', 'and 2 more lines like these', 'and 1 more lines like these']);
});

test('few lines are just written, each text once', () => {
  const { written, add, end } = bounded(3);
  for (const text of ['a', 'b', 'a', 'c', 'b']) add(text);
  end();
  expect(written).toEqual(['a', 'b', 'c']);
});

test('what was written already does not count as left out', () => {
  const { written, add, end } = bounded(2);
  for (let i = 0; i < 10; i++) for (const text of ['a', 'b']) add(text);
  end();
  expect(written).toEqual(['a', 'b']);
});
