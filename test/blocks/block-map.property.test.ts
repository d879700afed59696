import { afterAll, describe, test } from 'bun:test';
import fs from 'node:fs';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { openBlockDecoder } from '../../src/blocks/block-decoder.ts';
import { MAX_BLOCK_BYTES, MAX_STORED_BYTES } from '../../src/blocks/block-map.ts';
import { openBlockMap } from '../../src/blocks/open-block-map.ts';
import { alwaysAsync, mutatedBytes, unlessRefused, unlessRefusedAsync } from '../fixtures/property.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { SeededRandom } from '../request/seeded-random.ts';
import { fileOf, imageOf } from './mapped-image.ts';
import { qcow2Of, writtenQcow2 } from './qcow2-images.ts';
import { seekableZstd } from './seekable-zstd.ts';

const directory = new TemporaryDirectory();
afterAll(() => directory[Symbol.dispose]());

const image = imageOf(new SeededRandom(1), 24 * 1024);
const raw = directory.write('image.raw', image);
const xz = (...options: string[]) => run(['xz', '-c', '-0', ...options], { input: image });
const pieces = [0, 1, 2].map((piece) => image.subarray(piece * 8192, (piece + 1) * 8192));

const SAMPLES = {
  xz: [
    xz('--block-size=4KiB'),
    xz('-T2', '--block-size=8KiB', '--check=sha256'),
    xz('--block-size=2KiB', '--check=none'),
  ],
  zstd: [seekableZstd(pieces, true), seekableZstd(pieces, false, ['--no-check'])],
  qcow2: [
    qcow2Of(directory, raw, 'cluster_size=512'),
    qcow2Of(directory, raw, 'cluster_size=512', '-c'),
    qcow2Of(directory, raw, 'cluster_size=512,compression_type=zstd', '-c'),
    writtenQcow2(directory, '64k', 'cluster_size=16k,extended_l2=on', [
      'write -P 1 1k 2k',
      'write -P 2 40k 1k',
    ]),
  ].map((file) => fs.readFileSync(file)),
};

/** Blocks of a hostile map are looked at up to here. */
const LOOKS = 200;

using decoder = openBlockDecoder();

/**
 * Opens the map of a hostile file, and looks at its blocks and what is in them: everything that is no refusal, and whatever
 * breaks the promises of a map, is thrown.
 */
async function explore(bytes: Uint8Array): Promise<void> {
  const file = fileOf(bytes);
  const opened = await unlessRefusedAsync(() => openBlockMap(bytes.subarray(0, 512), file));
  if (opened === undefined || opened.kind === 'none') return;
  const { map } = opened;
  if (map.largestBlock > MAX_BLOCK_BYTES || map.largestStored > MAX_STORED_BYTES)
    throw new Error('too large');
  for (let at = 0, looks = 0; at < map.size && looks < LOOKS; looks++) {
    const block = await unlessRefusedAsync(() => map.at(at));
    if (block === undefined) {
      at += 4096;
      continue;
    }
    const { start, length, content } = block;
    if (start > at || start + length <= at || start + length > map.size)
      throw new Error(`${at} is not in it`);
    at = start + length;
    if (content.kind === 'zeros') continue;
    if (length > map.largestBlock || content.length > map.largestStored || content.length === 0) {
      throw new Error('larger than said');
    }
    if (content.offset + content.length > bytes.length) throw new Error('behind the end');
    const stored = bytes.subarray(content.offset, content.offset + content.length);
    unlessRefused(() => decoder.decode(stored, content.encoding, new Uint8Array(length)));
  }
}

describe('a hostile file is refused, or read within its bounds:', () => {
  test.each(Object.entries(SAMPLES))('%s', async (_, samples) => {
    await alwaysAsync(mutatedBytes(samples), explore, 0.5);
  });

  test('an xz index that lies, but is whole', async () => {
    // Section 4: an index indicator, the number of records, records, padding, and CRC32.
    const record = fc.tuple(vli(), vli());
    await alwaysAsync(
      fc.tuple(fc.constantFrom(...SAMPLES.xz), fc.array(record, { maxLength: 8 })),
      async ([sample, records]) => {
        await explore(withIndex(sample, records));
      },
    );
  });
});

/** Numbers that an index may have. */
function vli(): fc.Arbitrary<bigint> {
  return fc.oneof(
    fc.bigInt({ min: 0n, max: 10_000n }),
    fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
    fc.constantFrom(0n, 1n, 4096n, 2n ** 25n, 2n ** 53n, 2n ** 63n - 1n),
  );
}

function encoded(value: bigint): number[] {
  return value < 128n ? [Number(value)] : [Number(value & 127n) | 128, ...encoded(value >> 7n)];
}

/** The stream with an index of these records: checksums, lengths and the first stream header are right. */
function withIndex(stream: Buffer, records: readonly (readonly [bigint, bigint])[]): Buffer {
  const body = [0, ...encoded(BigInt(records.length)), ...records.flat().flatMap(encoded)];
  while (body.length % 4 !== 0) body.push(0);
  const index = Buffer.concat([Buffer.from(body), Buffer.alloc(4)]);
  index.writeUInt32LE(crc32(index.subarray(0, -4)), index.length - 4);
  const footer = Buffer.from(stream.subarray(-12));
  footer.writeUInt32LE(index.length / 4 - 1, 4);
  footer.writeUInt32LE(crc32(footer.subarray(4, 10)), 0);
  const sizes = records.reduce((sum, [unpadded]) => sum + ((unpadded + 3n) / 4n) * 4n, 0n);
  const blocks = sizes < 1_000_000n ? Number(sizes) : 0;
  const stored = Buffer.alloc(blocks);
  stream.copy(stored, 0, 12, Math.min(stream.length, 12 + blocks));
  return Buffer.concat([stream.subarray(0, 12), stored, index, footer]);
}
