import { describe, expect, test } from 'bun:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { detectCompression, openDecoder } from '../../src/decode/compression.ts';
import { gzipHeaderLength } from '../../src/decode/gzip-header.ts';
import { xzSizes } from '../../src/decode/xz-index.ts';
import { zstdContentSize } from '../../src/decode/zstd-frame-header.ts';
import {
  always,
  alwaysAsync,
  mutatedBytes,
  unlessRefused,
  unlessRefusedAsync,
} from '../fixtures/property.ts';
import { run } from '../fixtures/run.ts';

const CONTENT = Buffer.concat([
  Buffer.from('the root image '.repeat(300)),
  Buffer.alloc(3000),
  run(['head', '-c', '500', '/bin/sh']),
]);
const packed = (...command: string[]) => run(command, { input: CONTENT });

const xz = [
  packed('xz', '-0'),
  packed('xz', '-0', '--block-size=2000', '--check=sha256'),
  packed('xz', '-0', '--check=none'),
];
const SAMPLES = {
  xz: [...xz, Buffer.concat([...xz, Buffer.alloc(8)])],
  gzip: [packed('gzip'), Buffer.concat([packed('gzip', '-1'), packed('gzip')])],
  bzip2: [packed('bzip2'), Buffer.concat([packed('bzip2'), packed('bzip2')])],
  zstd: [
    packed('zstd', '-q'),
    packed('zstd', '-q', '--no-check'),
    Buffer.concat([packed('zstd', '-q'), packed('zstd', '-q')]),
  ],
};

/** Room for the small blocks of these streams side by side. */
const THREADING_MEMORY = 64 * 1024 * 1024;

/** What comes out of the decoder; undefined when it refuses. */
function decoded(stream: Uint8Array, chunkSize: number): Promise<string | undefined> {
  return unlessRefusedAsync(async () => {
    const digest = new Bun.CryptoHasher('sha256');
    const sink = {
      write: (chunk: Uint8Array) => void digest.update(chunk),
      finish: () => ({ bytes: 0, entries: 0 }),
      close: () => undefined,
    };
    const decoder = openDecoder(detectCompression(stream.subarray(0, 32)), {
      sink,
      threadingMemory: THREADING_MEMORY,
      cancelled: () => false,
    });
    try {
      for (let at = 0; at < stream.length; at += chunkSize)
        await decoder.write(stream.subarray(at, at + chunkSize));
      await decoder.finish();
    } finally {
      decoder.close();
    }
    return digest.digest('hex');
  });
}

/** Of the cases: each opens a decoder of the library twice. */
const SHARE = 0.25;

describe('any bytes are decoded or refused, the same in pieces of any size:', () => {
  test.each(Object.entries(SAMPLES))('%s', async (_, samples) => {
    const whole = fc.tuple(mutatedBytes(samples, 3), fc.integer({ min: 1, max: 3000 }));
    await alwaysAsync(
      whole,
      async ([stream, chunkSize]) =>
        expect(await decoded(stream, chunkSize)).toBe(await decoded(stream, 1 << 20)),
      SHARE,
    );
  });
});

describe('the header of a gzip member', () => {
  const text = fc.uint8Array({ maxLength: 30 }).map((bytes) => bytes.filter((byte) => byte !== 0));
  const header = fc
    .tuple(
      fc.option(fc.uint8Array({ maxLength: 60 })),
      fc.option(text),
      fc.option(text),
      fc.boolean(),
      fc.uint8Array({ minLength: 6, maxLength: 6 }),
    )
    .map(([extra, name, comment, hasChecksum, rest]) => {
      const flags = (hasChecksum ? 2 : 0) | (extra ? 4 : 0) | (name ? 8 : 0) | (comment ? 16 : 0);
      const bytes = Buffer.concat([
        Buffer.from([0x1f, 0x8b, 8, flags]),
        rest,
        ...(extra === null ? [] : [Buffer.from([extra.length, 0]), extra]),
        ...[name, comment].flatMap((each) => (each === null ? [] : [each, Buffer.from([0])])),
      ]);
      const checksum = Buffer.alloc(2);
      checksum.writeUInt16LE(crc32(bytes) & 0xffff);
      return hasChecksum ? Buffer.concat([bytes, checksum]) : bytes;
    });

  test('is as long as it is, and not known before it is all there', () => {
    always(fc.tuple(header, fc.uint8Array({ maxLength: 20 }), fc.nat()), ([bytes, more, cut]) => {
      expect(gzipHeaderLength(Buffer.concat([bytes, more]))).toBe(bytes.length);
      expect(gzipHeaderLength(bytes.subarray(0, cut % bytes.length))).toBeUndefined();
    });
  });

  test('is of some length in any bytes, or refused', () => {
    always(
      header.chain((bytes) => mutatedBytes([bytes, ...SAMPLES.gzip])),
      (bytes) => {
        const length = unlessRefused(() => gzipHeaderLength(bytes)) ?? 10;
        expect(length >= 10 && length <= Math.max(10, bytes.length)).toBe(true);
      },
    );
  });
});

describe('the sizes in an .xz file', () => {
  const sizesOf = (file: Uint8Array, size = file.length) =>
    xzSizes(file.subarray(0, 32), size, (offset, length) =>
      Promise.resolve(file.subarray(offset, offset + length)),
    );

  test('are those of what was packed, of any number of streams and blocks', async () => {
    const streams = fc.array(fc.tuple(fc.constantFrom(...xz), fc.nat(3)), { minLength: 1, maxLength: 8 });
    await alwaysAsync(streams, async (parts) => {
      const file = Buffer.concat(parts.flatMap(([stream, padding]) => [stream, Buffer.alloc(4 * padding)]));
      expect((await sizesOf(file))?.uncompressed).toBe(parts.length * CONTENT.length);
    });
  });

  test('are what is said in any bytes, or unknown', async () => {
    await alwaysAsync(fc.tuple(mutatedBytes(SAMPLES.xz), fc.nat(200)), async ([file, wrong]) => {
      for (const size of [file.length, file.length + wrong]) {
        const sizes = await sizesOf(file, size);
        if (sizes === undefined) continue;
        expect(Number.isSafeInteger(sizes.uncompressed) && sizes.uncompressed >= 0).toBe(true);
        expect(sizes.withoutHoles).toBeLessThanOrEqual(sizes.uncompressed);
      }
    });
  });

  test('of a damaged index that nevertheless holds are those that come out', async () => {
    await alwaysAsync(
      mutatedBytes(SAMPLES.xz, 2),
      async (file) => {
        const sizes = await sizesOf(file);
        let bytes = 0;
        const sink = {
          write(chunk: Uint8Array) {
            bytes += chunk.length;
            return undefined;
          },
          finish: () => ({ bytes, entries: 0 }),
          close: () => undefined,
        };
        const decoder = openDecoder('xz', {
          sink,
          threadingMemory: THREADING_MEMORY,
          cancelled: () => false,
        });
        const complete = await unlessRefusedAsync(async () => {
          try {
            await decoder.write(file);
            await decoder.finish();
            return file.length > 0;
          } finally {
            decoder.close();
          }
        });
        if (complete === true && sizes !== undefined) expect(sizes.uncompressed).toBe(bytes);
      },
      SHARE,
    );
  });
});

describe('the content size of a zstd frame', () => {
  /** RFC 8878, section 3.1.1.1, as an encoder may write it. */
  const frame = fc
    .tuple(fc.bigInt({ min: 0n, max: 2n ** 53n - 1n }), fc.constantFrom(0, 1, 2, 3), fc.boolean(), fc.nat(3))
    .map(([size, flag, singleSegment, dictionary]) => {
      const width = [singleSegment ? 1 : 0, 2, 4, 8][flag] ?? 0;
      const offset = width === 2 ? 256n : 0n;
      const said = (size % 256n ** BigInt(width)) + offset;
      const field = Buffer.alloc(8);
      field.writeBigUInt64LE(width === 0 ? 0n : said - offset);
      const bytes = Buffer.concat([
        Buffer.from([0x28, 0xb5, 0x2f, 0xfd, (flag << 6) | (singleSegment ? 0x20 : 0) | dictionary]),
        Buffer.alloc((singleSegment ? 0 : 1) + ([0, 1, 2, 4][dictionary] ?? 0), 7),
        field.subarray(0, width),
      ]);
      return { bytes, said: width === 0 ? undefined : Number(said) };
    });

  test('comes back', () => {
    always(fc.tuple(frame, fc.uint8Array({ maxLength: 10 })), ([{ bytes, said }, more]) => {
      expect(zstdContentSize(Buffer.concat([bytes, more]))).toBe(said);
      if (said !== undefined) expect(zstdContentSize(bytes.subarray(0, -1))).toBeUndefined();
    });
  });

  test('is a number in any bytes, or unknown', () => {
    always(mutatedBytes(SAMPLES.zstd), (bytes) => {
      const size = zstdContentSize(bytes.subarray(0, 32));
      if (size !== undefined) expect(Number.isSafeInteger(size) && size >= 0).toBe(true);
    });
  });
});
