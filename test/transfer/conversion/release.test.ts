import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { planFor } from '../../../src/transfer/conversion/plan.ts';
import { createRelease, isBehind } from '../../../src/transfer/conversion/release.ts';
import { always } from '../../fixtures/property.ts';

const MIB = 1024 * 1024;

/** What is given back while these parts are read, in order. */
function released(parts: readonly (readonly [number, number])[]): [number, number][] {
  const freed: [number, number][] = [];
  const release = createRelease((offset, length) => void freed.push([offset, length]));
  for (const [offset, length] of parts) release.read(offset, length);
  return freed;
}

describe('room is given back', () => {
  test('a MiB at a time, and not the last sector, which the next part may begin in', () => {
    const parts = Array.from({ length: 48 }, (_, at): [number, number] => [at * 65_536, 65_536]);
    expect(released(parts)).toEqual([
      [0, MIB - 4096],
      [MIB - 4096, MIB],
      [2 * MIB - 4096, MIB],
    ]);
  });

  test('before a gap, but not what is in it', () => {
    expect(
      released([
        [0, 65_536],
        [131_072, 65_536],
        [65_536 * 3, 4096],
        [MIB, 1],
      ]),
    ).toEqual([
      [0, 61_440],
      [131_072, 65_536],
    ]);
  });

  test('never twice, never what was not read, and never what is read later', () => {
    const part = fc.tuple(fc.constantFrom(-512, -100, 0, 0, 0, 1, 4096, 70_000), fc.nat(200_000));
    always(fc.array(part, { maxLength: 60 }), (steps) => {
      const freed: [number, number][] = [];
      const read: [number, number][] = [];
      let end = 0;
      const release = createRelease((offset, length) => {
        for (const [other, much] of freed) {
          if (offset < other + much && other < offset + length) throw new Error('twice');
        }
        freed.push([offset, length]);
        // All of it was read: follow the parts from its beginning on.
        let at = offset;
        for (const [start, size] of read) if (start <= at && start + size > at) at = start + size;
        if (at < offset + length) throw new Error('not read');
      });
      for (const [gap, size] of steps) {
        const offset = Math.max(0, end + gap);
        const length = size + 1024;
        if (!isBehind(offset, end)) throw new Error('the test is wrong');
        if (freed.some(([other, much]) => offset < other + much && other < offset + length))
          throw new Error('gone');
        read.push([offset, length]);
        release.read(offset, length);
        end = offset + length;
      }
    });
  });
});

const plan = (table: number, hosts: readonly number[]) => planWithTables([table], hosts);

/** A qcow2 image in clusters of 512 bytes: L2 tables of 64 entries at `tables`, and clusters at `hosts`. */
function planWithTables(tables: readonly number[], hosts: readonly number[]) {
  const file = new DataView(new ArrayBuffer(16 * 4096));
  for (const [index, table] of tables.entries()) file.setBigUint64(512 + index * 8, BigInt(table));
  for (const [index, host] of hosts.entries()) {
    const table = tables[Math.floor(index / 64)] ?? 0;
    file.setBigUint64(table + (index % 64) * 8, BigInt(host));
  }
  const header = {
    version: 3,
    clusterBits: 9,
    size: hosts.length * 512,
    l1Offset: 512,
    compression: 'deflate',
    extendedL2: false,
  } as const;
  return planFor(
    header,
    {
      size: file.byteLength,
      read: async (offset, length) => new Uint8Array(file.buffer.slice(offset, offset + length)),
    },
    () => true,
  );
}

describe('a qcow2 image shrinks while the raw one grows', () => {
  test('where its clusters lie in order', async () => {
    expect(await plan(1024, [4096, 4608, 8192, 0, 8704])).toEqual({ size: 2560, data: 2048, growth: 2048 });
  });

  test('not where they do not', async () => {
    expect((await plan(1024, [4608, 4096])).growth).toBeUndefined();
  });

  test('not where two are the same', async () => {
    expect((await plan(1024, [4096, 4608, 4096])).growth).toBeUndefined();
  });

  test('not where a table lies in the data', async () => {
    // 64 clusters are one L2 table, and the second of them is where a cluster of the first was.
    const hosts = Array.from({ length: 65 }, (_, at) => 4096 + at * 512);
    expect((await planWithTables([1024, 2048], hosts)).growth).toBeDefined();
    expect((await planWithTables([1024, 8192], hosts)).growth).toBeUndefined();
    // It is read before what lies there as well, and may be read again.
    expect((await planWithTables([8192], [4096, 8192])).growth).toBeUndefined();
  });
});
