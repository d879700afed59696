import { expect, test } from 'bun:test';
import { encodeJournalEntry } from '../../src/console/journal-entry.ts';

test('a value of one line stands behind its name', () => {
  const entry = encodeJournalEntry(
    new Map([
      ['MESSAGE', 'größer = 1'],
      ['PRIORITY', '6'],
    ]),
  );
  expect(Buffer.from(entry).toString()).toBe('MESSAGE=größer = 1\nPRIORITY=6\n');
});

test('a value of several lines has its length in bytes before it, so that it cannot begin another field', () => {
  const value = 'ü\nPRIORITY=0\n';
  const entry = encodeJournalEntry(
    new Map([
      ['MESSAGE', value],
      ['PRIORITY', '6'],
    ]),
  );
  const length = [Buffer.byteLength(value), 0, 0, 0, 0, 0, 0, 0];
  expect(Buffer.from(entry)).toEqual(
    Buffer.concat([
      Buffer.from('MESSAGE\n'),
      Buffer.from(length),
      Buffer.from(value),
      Buffer.from('\nPRIORITY=6\n'),
    ]),
  );
});

test('values without end fit into a datagram', () => {
  const endless = '€\n'.repeat(1_000_000);
  const entry = encodeJournalEntry(
    new Map(['MESSAGE', 'RDPULL_HINT', 'RDPULL_CAUSE', 'RDPULL_URL'].map((name) => [name, endless])),
  );
  expect(entry.length).toBeLessThan(208 * 1024);
});
