import { afterAll, describe, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { openBlockDecoder } from '../../src/blocks/block-decoder.ts';
import { MAX_INDEX_BYTES, parseChunkIndex } from '../../src/blocks/chunk-index.ts';
import { chunkMap, mostStored, occupiedByChunks } from '../../src/blocks/chunk-map.ts';
import { RdpullError } from '../../src/console/rdpull-error.ts';
import { imageToChunk, makeChunks } from '../chunks/chunked-image.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

/** What an action is refused with; undefined when it is not. */
function failureOf(action: () => unknown): RdpullError | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    if (error instanceof RdpullError) return error;
    throw error;
  }
}

const directory = new TemporaryDirectory();
afterAll(() => directory[Symbol.dispose]());
const IMAGE = imageToChunk(noiseOf(900_000));
const raw = directory.write('image.raw', IMAGE);

const indexOf = (digest: 'sha512-256' | 'sha256') =>
  fs.readFileSync(makeChunks(directory.path, digest, raw, { digest, store: `${digest}.castr` }));
const INDEX = indexOf('sha512-256');

describe('an index that casync has made', () => {
  test.each(['sha512-256', 'sha256'] as const)(
    'with digests of %s: every chunk, and that they are the image',
    (digest) => {
      const table = parseChunkIndex(digest === 'sha256' ? indexOf(digest) : INDEX);
      expect(table.algorithm).toBe(digest);
      expect(table.size).toBe(IMAGE.length);
      let end = 0;
      for (let number = 0; number < table.count; number++) {
        const chunk = table.chunk(number);
        expect(chunk.start).toBe(end);
        end += chunk.length;
        const bytes = IMAGE.subarray(chunk.start, end);
        expect(Buffer.from(chunk.digest).toString('hex')).toBe(
          createHash(digest).update(bytes).digest('hex'),
        );
        expect(table.numberAt(chunk.start)).toBe(number);
        expect(table.numberAt(end - 1)).toBe(number);
        expect(table.find(chunk.digest)?.length).toBe(chunk.length);
      }
      expect(end).toBe(IMAGE.length);
      expect(table.find(noiseOf(32, 1))).toBeUndefined();
      expect(() => table.numberAt(end)).toThrow(RangeError);
    },
  );

  test('says of each chunk whether it is the first of its bytes, and where else they lie', () => {
    const table = parseChunkIndex(INDEX);
    const numbers = Array.from({ length: table.count }, (_, number) => number);
    const others = numbers.flatMap((number) => {
      const { start, length } = table.chunk(number);
      if (!table.isFirst(number)) return [];
      return table.otherStarts(number, 1000).map((other) => ({ start, length, other }));
    });
    expect(others.length).toBeGreaterThan(0);
    expect(others.map(({ other }) => other).toSorted((a, b) => a - b)).toEqual(
      numbers.filter((number) => !table.isFirst(number)).map((number) => table.chunk(number).start),
    );
    for (const { start, length, other } of others)
      expect(IMAGE.subarray(other, other + length).equals(IMAGE.subarray(start, start + length))).toBe(true);
    const most = numbers.map((number) => table.otherStarts(number, 1).length);
    expect(Math.max(...most)).toBe(1);
  });

  test('that lies of the length of a chunk: it is in no place of another one with its digest', () => {
    const bytes = Buffer.from(INDEX);
    // The digest of the second chunk becomes that of the first, which is of another length.
    bytes.copy(bytes, 64 + 40 + 8, 64 + 8, 64 + 40);
    const table = parseChunkIndex(bytes);
    expect(table.chunk(0).length).not.toBe(table.chunk(1).length);
    expect(table.isFirst(1)).toBe(false);
    expect(table.otherStarts(0, 1000)).toEqual([]);
  });

  test('says what of the image are holes', async () => {
    const table = parseChunkIndex(INDEX);
    const map = chunkMap(table);
    let holes = 0;
    for (let at = 0; at < map.size; ) {
      const { start, length, content } = await map.at(at);
      if (content.kind === 'zeros') {
        expect(IMAGE.subarray(start, start + length)).toEqual(Buffer.alloc(length));
        holes += length;
      }
      at = start + length;
    }
    expect(holes).toBeGreaterThan(400_000);
    expect(occupiedByChunks(table)).toBe(IMAGE.length - holes);
  });
});

describe('an index that lies is refused:', () => {
  const LAST = INDEX.length - 80;
  const changed = (change: (bytes: Buffer) => void): Buffer => {
    const bytes = Buffer.from(INDEX);
    change(bytes);
    return bytes;
  };
  const HOSTILE: readonly (readonly [string, Buffer, string])[] = [
    ['nothing', Buffer.alloc(0), 'it does not begin as an index of casync does'],
    ['a page', Buffer.from('<html>'.repeat(100)), 'it does not begin as an index of casync does'],
    ['a header alone', INDEX.subarray(0, 48), 'it ends in the middle'],
    ['a header of another length', changed((b) => void b.writeUInt8(47, 0)), 'its header has a wrong length'],
    ['one that ends within an item', INDEX.subarray(0, 1000), 'it ends in the middle'],
    ['one that ends behind an item', INDEX.subarray(0, 64 + 40 * 20), 'its table does not end where it ends'],
    ['no chunks', Buffer.concat([INDEX.subarray(0, 64), tail(56)]), 'it lists no chunks: the image is empty'],
    [
      'a table of another kind',
      changed((b) => void b.writeUInt8(0, 56)),
      'its table does not begin behind its header',
    ],
    [
      'a table that says to be longer',
      changed((b) => void b.writeUInt8(255, INDEX.length - 15)),
      'its table does not end where it ends',
    ],
    [
      'an end without its marker',
      changed((b) => void b.writeUInt8(0, INDEX.length - 1)),
      'its table does not end where it ends',
    ],
    [
      'no bytes at least',
      changed((b) => void b.writeBigUInt64LE(0n, 24)),
      'its chunks cannot be of 0 to 65536 bytes, 16384 on average',
    ],
    [
      'more at least than on average',
      changed((b) => void b.writeBigUInt64LE(16385n, 24)),
      'its chunks cannot be of 16385 to 65536 bytes, 16384 on average',
    ],
    [
      'more on average than at most',
      changed((b) => void b.writeBigUInt64LE(2n ** 40n, 32)),
      `its chunks cannot be of 4096 to 65536 bytes, ${2n ** 40n} on average`,
    ],
    [
      'a chunk above the most',
      changed((b) => void b.writeBigUInt64LE(65537n, 64)),
      'chunk 0 has 65537 bytes, and none has more than 65536',
    ],
    [
      'a chunk of nothing',
      changed((b) => void b.writeBigUInt64LE(b.readBigUInt64LE(64), 104)),
      'chunk 1 ends before it begins',
    ],
    [
      'chunks that overlap',
      changed((b) => void b.writeBigUInt64LE(1n, 104)),
      'chunk 1 ends before it begins',
    ],
    [
      'an image of 2^64 bytes',
      changed((b) => void b.writeBigUInt64LE(2n ** 64n - 1n, LAST)),
      `ends behind all that an image can have`,
    ],
    [
      'an image of 2^53 bytes',
      changed((b) => void b.writeBigUInt64LE(2n ** 53n, LAST)),
      `ends behind all that an image can have`,
    ],
  ];
  test.each(HOSTILE)('%s', (_, bytes, why) => {
    const failure = failureOf(() => parseChunkIndex(bytes));
    expect(failure?.code).toBe('index-malformed');
    expect(failure?.message).toContain(why);
  });

  test('chunks that nobody can keep in memory', () => {
    const failure = failureOf(() => parseChunkIndex(changed((b) => void b.writeBigUInt64LE(2n ** 27n, 40))));
    expect(failure?.code).toBe('stream-unsupported');
    expect(failure?.message).toBe(
      'its chunks are of up to 134217728 bytes, and 32.0 MiB is the most that is read at once',
    );
  });

  test('more chunks than are read', () => {
    const items = Buffer.alloc(MAX_INDEX_BYTES + 40 - 104);
    const bytes = Buffer.concat([INDEX.subarray(0, 64), items, tail(items.length + 56)]);
    expect(failureOf(() => parseChunkIndex(bytes))?.message).toBe('it lists more than 1048576 chunks');
  });

  test('the index of a directory tree', () => {
    const tree = directory.file('tree.caidx');
    fs.mkdirSync(directory.file('tree'));
    run(['casync', 'make', `--store=${directory.file('tree.castr')}`, tree, directory.file('tree')]);
    const failure = failureOf(() => parseChunkIndex(fs.readFileSync(tree)));
    expect(failure?.code).toBe('stream-unsupported');
    expect(failure?.message).toContain('index of a directory tree');
  });
});

/** `struct CaFormatTableTail`. */
function tail(table: number): Buffer {
  const bytes = Buffer.alloc(40);
  bytes.writeBigUInt64LE(48n, 16);
  bytes.writeBigUInt64LE(BigInt(table), 24);
  bytes.writeBigUInt64LE(0x4b4f050e5549ecd1n, 32);
  return bytes;
}

describe('a chunk is what its digest says, or nothing:', () => {
  using decoder = openBlockDecoder();
  const chunk = Buffer.concat([noiseOf(5000, 2), Buffer.alloc(15_000, 'text ')]);
  const digest = createHash('sha256').update(chunk).digest('hex');
  const decode = (stored: Uint8Array, length = chunk.length) => {
    const output = new Uint8Array(length);
    decoder.decode(stored, { kind: 'chunk', algorithm: 'sha256', digest }, output);
    return Buffer.from(output);
  };
  const PACKED = {
    'as it is': chunk,
    zstd: run(['zstd', '-q', '-c'], { input: chunk }),
    xz: run(['xz', '-c'], { input: chunk }),
    gzip: run(['gzip', '-c'], { input: chunk }),
  };

  test.each(Object.entries(PACKED))('%s', (_, stored) => {
    expect(decode(stored)).toEqual(chunk);
    expect(stored.length).toBeLessThanOrEqual(mostStored(chunk.length));
    // None of it may be missing, changed, or more.
    expect(failureOf(() => decode(stored.subarray(0, -1)))?.code).toBe('chunk-damaged');
    expect(failureOf(() => decode(Buffer.concat([stored, Buffer.from([0])])))?.code).toBe('chunk-damaged');
    expect(failureOf(() => decode(stored, chunk.length - 1))?.code).toBe('chunk-damaged');
    expect(failureOf(() => decode(stored, chunk.length + 1))?.code).toBe('chunk-damaged');
    for (let at = 0; at < stored.length; at += 97) {
      const damaged = Buffer.from(stored);
      damaged[at] = (damaged[at] ?? 0) ^ 1;
      const failure = failureOf(() => decode(damaged));
      // A flag of the format that changes nothing of what comes out is no damage.
      if (failure !== undefined) expect(failure.code).toBe('chunk-damaged');
      else expect(decode(damaged)).toEqual(chunk);
    }
    expect(decode(stored)).toEqual(chunk);
  });

  test('another chunk, with both digests', () => {
    const other = noiseOf(chunk.length, 3);
    const failure = failureOf(() => decode(other));
    expect(failure?.message).toBe(
      `chunk ${digest} is another one: its sha256 is ${createHash('sha256').update(other).digest('hex')}`,
    );
  });
});
