import { afterAll, beforeAll, expect, test } from 'bun:test';
import fs from 'node:fs';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { identifyImage } from '../../src/expose/image-layout.ts';
import { rootDevice } from '../../src/expose/root-partition.ts';
import { always, cases, mutatedBytes, requirePrintable, unlessRefused } from '../fixtures/property.ts';
import { run } from '../fixtures/run.ts';
import { createScratch } from './scratch.ts';

const MIB = 1024 * 1024;
const scratch = createScratch();
/** The start of partitioned images, and what is there of other kinds. */
let samples: Buffer[];

/** Bytes that are kept of an image: the tables, and the magic numbers of file systems. */
const START = 70_000;

function partitioned(script: string, size = 16 * MIB): Buffer {
  const image = scratch.file('image.raw', size);
  run(['sfdisk', '--quiet', '--no-tell-kernel', image], { input: Buffer.from(script) });
  return fs.readFileSync(image);
}

beforeAll(() => {
  const extended =
    'start=4MiB, size=8MiB, type=5\nstart=5MiB, size=1MiB, type=83\nstart=7MiB, size=2MiB, type=83\n';
  const bare = scratch.file('bare.raw', 8 * MIB);
  scratch.run('mkfs.ext4', '-q', bare);
  samples = [
    partitioned('label: gpt\nsize=1MiB, type=U, name="esp"\nsize=4MiB, type=L, name="root"\n'),
    partitioned(`label: dos\nstart=1MiB, size=2MiB, type=83\n${extended}`),
    fs.readFileSync(bare),
  ].map((image) => image.subarray(0, START));
});
afterAll(() => scratch.remove());

/** An image that begins with some bytes, and is zeros behind them. */
function imageOf(start: Buffer, size: number) {
  return {
    size,
    read(offset: number, length: number) {
      const bytes = Buffer.alloc(Math.max(0, Math.min(length, size - offset)));
      start.copy(bytes, 0, Math.min(offset, start.length), offset + bytes.length);
      return bytes;
    },
  };
}

/** Makes the checksums of a GPT right, so that what is changed in it is read. */
function checked(start: Buffer): Buffer {
  if (start.length < 1024 || start.toString('latin1', 512, 520) !== 'EFI PART') return start;
  const entries = start.readUInt32LE(512 + 80) * start.readUInt32LE(512 + 84);
  if (entries <= start.length - 1024)
    start.writeUInt32LE(crc32(start.subarray(1024, 1024 + entries)), 512 + 88);
  const size = Math.min(start.readUInt32LE(512 + 12), 512);
  start.writeUInt32LE(0, 512 + 16);
  start.writeUInt32LE(crc32(start.subarray(512, 512 + size)), 512 + 16);
  return start;
}

test('any image is understood or refused: no partition leaves it or covers another', () => {
  const chosen = fc.nat(2).chain((index) => mutatedBytes([samples[index] ?? Buffer.alloc(0)]));
  const edits = fc.array(fc.tuple(fc.nat(1024 + 512), fc.nat(255)), { maxLength: 4 });
  always(fc.tuple(chosen, edits, fc.boolean(), fc.nat(20 * MIB)), ([bytes, near, fixed, length]) => {
    // Most of an image is zeros: changes where the tables are.
    for (const [at, value] of near) if (at < bytes.length) bytes[at] = value;
    const size = length % 2 === 0 ? 16 * MIB : length;
    const layout = unlessRefused(() => identifyImage(imageOf(fixed ? checked(bytes) : bytes, size), 'x.raw'));
    if (layout === undefined || layout.kind === 'file-system') return;
    const sorted = layout.partitions.toSorted((a, b) => a.start - b.start);
    for (const [index, { number, start, size: own }] of sorted.entries()) {
      expect(own).toBeGreaterThan(0);
      expect(start).toBeGreaterThan(0);
      expect(start + own).toBeLessThanOrEqual(sorted[index + 1]?.start ?? size);
      expect(number).toBeGreaterThan(0);
    }
    const named = layout.partitions.map((partition) => ({
      ...partition,
      path: `/dev/loop0p${partition.number}`,
    }));
    const device = { device: '/dev/loop0', readOnly: true, directIo: false, ...layout, partitions: named };
    const root = unlessRefused(() => rootDevice(device));
    if (root !== undefined) requirePrintable(root);
  });
});

test('what sfdisk writes is what is read', () => {
  const size = fc.integer({ min: 1, max: 3000 });
  const layouts = fc.tuple(
    fc.constantFrom('gpt', 'dos'),
    fc.array(fc.tuple(size, size), { minLength: 1, maxLength: 4 }),
  );
  for (const [label, parts] of cases(layouts, 20)) {
    let at = 2048;
    const wanted = parts.map(([gap, sectors]) => {
      const start = at + gap;
      at = start + sectors;
      return { start, sectors };
    });
    const lines = wanted.map(
      ({ start, sectors }) => `start=${start}, size=${sectors}, type=${label === 'gpt' ? 'L' : '83'}\n`,
    );
    const image = partitioned(`label: ${label}\nunit: sectors\n${lines.join('')}`);
    const layout = identifyImage(imageOf(image, image.length), 'x.raw');
    const read =
      layout.kind === 'file-system' ? [] : layout.partitions.map(({ start, size }) => ({ start, size }));
    expect(read).toEqual(wanted.map(({ start, sectors }) => ({ start: start * 512, size: sectors * 512 })));
  }
});
