import { describe, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import type { RdpullError } from '../../src/console/rdpull-error.ts';
import { detectCompression, openDecoder } from '../../src/decode/compression.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { run } from '../fixtures/run.ts';

/** What `openDecoder` makes of `stream`, fed in chunks of `chunkBytes`. */
async function decode(
  stream: Uint8Array,
  chunkBytes = 65_536,
  threadingMemory = 64 * 1024 * 1024,
  tellTrailing?: (warning: string) => void,
): Promise<Buffer> {
  const parts: Buffer[] = [];
  const sink = {
    write: (chunk: Uint8Array) => void parts.push(Buffer.from(chunk)),
    finish: () => ({ bytes: 0, entries: 0 }),
    close: () => undefined,
  };
  const decoder = openDecoder(detectCompression(stream.subarray(0, 16)), {
    sink,
    threadingMemory,
    cancelled: () => false,
    tellTrailing,
  });
  try {
    for (let at = 0; at < stream.length; at += chunkBytes)
      await decoder.write(stream.subarray(at, at + chunkBytes));
    await decoder.finish();
  } finally {
    decoder.close();
  }
  return Buffer.concat(parts);
}

async function errorOf(action: () => unknown): Promise<RdpullError> {
  try {
    await action();
  } catch (error) {
    return error as RdpullError;
  }
  throw new Error('expected an error');
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** Half noise, half zeros and text: several megabytes, so that every decoder fills its output more than once. */
const IMAGE = Buffer.concat([
  noiseOf(1_500_000),
  Buffer.alloc(2_000_000),
  Buffer.from('the root image '.repeat(100_000)),
]);
const IMAGE_SHA = sha256(IMAGE);
const SMALL = Buffer.from('a small image\n'.repeat(40));

const FORMATS = [
  { format: 'xz', compress: ['xz', '-c'] },
  { format: 'xz', compress: ['xz', '-c', '-T2', '--block-size=300000'] },
  // Blocks whose headers do not say how long they are.
  { format: 'xz', compress: ['xz', '-c', '-T1', '--block-size=300000'] },
  { format: 'xz', compress: ['xz', '-c', '-9e', '--check=none'] },
  { format: 'xz', compress: ['xz', '-c', '--check=crc32'] },
  { format: 'xz', compress: ['xz', '-c', '--check=crc64', '--x86', '--lzma2=preset=3'] },
  { format: 'xz', compress: ['xz', '-c', '--check=sha256', '--delta=dist=4', '--lzma2'] },
  { format: 'gzip', compress: ['gzip', '-c'] },
  { format: 'gzip', compress: ['gzip', '-c', '-1'] },
  { format: 'bzip2', compress: ['bzip2', '-c'] },
  { format: 'bzip2', compress: ['pbzip2', '-c', '-b1'] },
  { format: 'zstd', compress: ['zstd', '-c'] },
  { format: 'zstd', compress: ['zstd', '-c', '-19', '--no-check'] },
  { format: 'zstd', compress: ['zstd', '-c', '--long=27', '--single-thread'] },
] as const;

describe.each(FORMATS)('$format made by $compress', ({ format, compress }) => {
  const one = run([...compress], { input: IMAGE });

  test('is recognised by its first bytes and decodes to the same bytes', async () => {
    expect(detectCompression(one)).toBe(format);
    expect(sha256(await decode(one))).toBe(IMAGE_SHA);
  });

  test('decodes every member of a concatenated file', async () => {
    const two = run([...compress], { input: SMALL });
    expect((await decode(Buffer.concat([two, one, two]))).equals(Buffer.concat([SMALL, IMAGE, SMALL]))).toBe(
      true,
    );
  });

  test('does not depend on how the network cuts the stream', async () => {
    const small = run([...compress], { input: SMALL });
    expect((await decode(Buffer.concat([small, small]), 1)).equals(Buffer.concat([SMALL, SMALL]))).toBe(true);
    expect(sha256(await decode(one, 4_099))).toBe(IMAGE_SHA);
  });

  test('refuses a stream that ends early, wherever it ends', async () => {
    const last = one.length - 1;
    for (const length of [20, 1_000, one.length >> 1, last - 12, last - 3, last]) {
      expect((await errorOf(() => decode(one.subarray(0, length)))).code).toBe('stream-truncated');
    }
  });

  test('refuses a corrupted middle, or decodes to other bytes where the format carries no check', async () => {
    const bad = Buffer.from(one);
    bad.fill(0x5a, one.length >> 1, (one.length >> 1) + 64);
    const unchecked = compress.some((word) => word === '--check=none' || word === '--no-check');
    if (unchecked) {
      let decoded: Buffer | undefined;
      try {
        decoded = await decode(bad);
      } catch {}
      expect(decoded === undefined || sha256(decoded) !== IMAGE_SHA).toBe(true);
    } else {
      expect((await errorOf(() => decode(bad))).code).toBe('stream-corrupt');
    }
  });

  test('refuses garbage behind the stream', async () => {
    const error = await errorOf(() => decode(Buffer.concat([one, Buffer.from('garbage')])));
    expect(error.code).toBe('stream-trailing-data');
    expect(error.message).toBe(`something that is not ${format} follows the end of the ${format} stream`);
  });
});

test('xz: blocks side by side, or one after the other where there is no memory for two, are the same bytes', async () => {
  const sized = run(['xz', '-c', '-T2', '--block-size=300000'], { input: IMAGE });
  const unsized = run(['xz', '-c', '-T1', '--block-size=300000'], { input: IMAGE });
  for (const threadingMemory of [0, 1_000_000, 64 * 1024 * 1024]) {
    expect((await decode(sized, 65_536, threadingMemory)).equals(IMAGE)).toBe(true);
    expect((await decode(unsized, 65_536, threadingMemory)).equals(IMAGE)).toBe(true);
    const both = await decode(Buffer.concat([unsized, sized]), 65_536, threadingMemory);
    expect(both.equals(Buffer.concat([IMAGE, IMAGE]))).toBe(true);
  }
});

test('xz: padding of four zero bytes each between and behind streams is part of the format', async () => {
  const one = run(['xz', '-c'], { input: SMALL });
  const padded = Buffer.concat([one, Buffer.alloc(8), one, Buffer.alloc(512)]);
  expect((await decode(padded)).equals(Buffer.concat([SMALL, SMALL]))).toBe(true);
  expect((await decode(padded, 3)).equals(Buffer.concat([SMALL, SMALL]))).toBe(true);
});

test('xz: padding of another length is refused', async () => {
  const one = run(['xz', '-c'], { input: SMALL });
  expect((await errorOf(() => decode(Buffer.concat([one, Buffer.alloc(3)])))).code).toBe(
    'stream-trailing-data',
  );
  expect((await errorOf(() => decode(Buffer.concat([one, Buffer.alloc(2), one])))).code).toBe(
    'stream-trailing-data',
  );
});

/** Garbage that begins as the formats do: what an endless body of noise holds now and then. */
const ALMOST = [
  '\xfd',
  '\xfd7zXZ',
  '\xfd7zXZ!',
  '\xfdgarbage',
  '(',
  '(\xb5/',
  '(garbage',
  'P',
  'Pgarbage',
  'P*M!age',
];

test.each(['xz', 'zstd', 'gzip', 'bzip2'])(
  '%s: garbage that begins as another stream does is garbage',
  async (tool) => {
    const one = run([tool, '-c'], { input: SMALL });
    for (const text of ALMOST) {
      const stream = Buffer.concat([one, Buffer.from(text, 'latin1')]);
      for (const chunkBytes of [1, 65_536]) {
        expect((await errorOf(() => decode(stream, chunkBytes))).code).toBe('stream-trailing-data');
      }
    }
  },
);

test.each(['xz', 'zstd', 'gzip', 'bzip2'])(
  '%s: of another stream a whole magic number is enough to miss the rest',
  async (tool) => {
    const one = run([tool, '-c'], { input: SMALL });
    for (const magicBytes of tool === 'xz' ? [6, 7, 12] : [4, 5, 6, 7]) {
      const stream = Buffer.concat([one, one.subarray(0, magicBytes)]);
      for (const chunkBytes of [1, 65_536]) {
        expect((await errorOf(() => decode(stream, chunkBytes))).code).toBe('stream-truncated');
      }
    }
  },
);

test('gzip, zstd and bzip2: zero bytes behind the stream are garbage', async () => {
  for (const tool of ['gzip', 'zstd', 'bzip2']) {
    const one = run([tool, '-c'], { input: SMALL });
    expect((await errorOf(() => decode(Buffer.concat([one, Buffer.alloc(4)])))).code).toBe(
      'stream-trailing-data',
    );
  }
});

describe('where a digest vouches for the bytes', () => {
  const garbage = ['garbage', '\0'.repeat(512), '\x1f', '\x1f\x8c', 'B', 'BZx', '\x1f\x8aBZ'];
  const withGarbage = (tool: string, text: string) =>
    Buffer.concat([run([tool, '-c'], { input: SMALL }), Buffer.from(text, 'latin1')]);

  test.each(['gzip', 'bzip2'])(
    '%s: what follows the stream is passed over with a warning, as the tool does',
    async (tool) => {
      for (const text of garbage) {
        for (const chunkBytes of [1, 65_536]) {
          const stream = withGarbage(tool, text);
          const warnings: string[] = [];
          const decoded = await decode(stream, chunkBytes, 0, (warning) => warnings.push(warning));
          expect(decoded.equals(SMALL)).toBe(true);
          expect(warnings).toEqual([
            `something that is not ${tool} follows the end of the ${tool} stream: passed over`,
          ]);
          const { code, hint } = await errorOf(() => decode(stream, chunkBytes));
          expect(code).toBe('stream-trailing-data');
          expect(hint).toContain(`as ${tool}(1) does`);
        }
      }
    },
  );

  test.each(['gzip', 'bzip2'])('%s: another stream is no garbage, nor is half of one', async (tool) => {
    const one = run([tool, '-c'], { input: SMALL });
    const tell = () => {
      throw new Error('told of garbage');
    };
    const two = await decode(Buffer.concat([one, one]), 1, 0, tell);
    expect(two.equals(Buffer.concat([SMALL, SMALL]))).toBe(true);
    const half = Buffer.concat([one, one.subarray(0, one.length >> 1)]);
    expect((await errorOf(() => decode(half, 1, 0, tell))).code).toBe('stream-truncated');
  });

  test.each(['xz', 'zstd'])('%s: what follows is refused, as by the tool', async (tool) => {
    const error = await errorOf(() => decode(withGarbage(tool, 'garbage'), 65_536, 0, () => undefined));
    expect(error.code).toBe('stream-trailing-data');
  });
});

/** A gzip member with the optional fields that `flags` (RFC 1952) asks for, made by Python. */
function gzipMember(flags: number): Buffer {
  const script = `
import sys, zlib, struct
data, flags = sys.stdin.buffer.read(), ${flags}
head = b"\\x1f\\x8b\\x08" + bytes([flags]) + struct.pack("<I", 7) + b"\\x00\\x03"
if flags & 4: head += struct.pack("<H", 6) + b"AB\\x02\\x00xy"
if flags & 8: head += b"a name\\0"
if flags & 16: head += b"a comment\\0"
if flags & 2: head += struct.pack("<H", zlib.crc32(head) & 0xffff)
deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
body = deflate.compress(data) + deflate.flush()
sys.stdout.buffer.write(head + body + struct.pack("<II", zlib.crc32(data), len(data)))`;
  return run(['python3', '-c', script], { input: SMALL });
}

test.each([0, 2, 4, 8, 16, 12, 14, 30])(
  'gzip: header flags %p, however the network cuts the header',
  async (flags) => {
    const stream = gzipMember(flags);
    for (const chunkBytes of [1, 7, 20, 1_000_000]) {
      expect(
        (await decode(Buffer.concat([stream, stream]), chunkBytes)).equals(Buffer.concat([SMALL, SMALL])),
      ).toBe(true);
    }
  },
);

test('gzip: a header whose own checksum is wrong is refused', async () => {
  const stream = gzipMember(30);
  stream[5] = 9;
  expect((await errorOf(() => decode(stream))).message).toBe(
    'the gzip stream is corrupt (the checksum of a member header does not match)',
  );
});

test('gzip: a wrong checksum or length behind the data is refused', async () => {
  for (const fromEnd of [8, 4]) {
    const stream = gzipMember(0);
    const at = stream.length - fromEnd;
    stream[at] = (stream[at] ?? 0) ^ 1;
    expect((await errorOf(() => decode(stream))).code).toBe('stream-corrupt');
  }
});

test('zstd: skippable frames before and between frames are skipped', async () => {
  const one = run(['zstd', '-c'], { input: SMALL });
  const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
  expect(
    (await decode(Buffer.concat([skippable, one, skippable, one]))).equals(Buffer.concat([SMALL, SMALL])),
  ).toBe(true);
});

test('zstd: a window of more than 128 MiB is refused with the remedy', async () => {
  const stream = run(['zstd', '-c', '--ultra', '-22', '--long=28', '--no-content-size'], {
    input: Buffer.alloc(1_000),
  });
  // A stream of unknown size declares its window: 256 MiB.
  const error = await errorOf(() =>
    decode(run(['sh', '-c', 'head -c 300000000 /dev/zero | zstd -c --long=28 -1'])),
  );
  expect(stream.length).toBeGreaterThan(0);
  expect(error.code).toBe('decoder-memory');
  expect(error.hint).toBe('compress the image with zstd --long=27 or less');
});

test('xz: a dictionary of more than 128 MiB is refused with the remedy', async () => {
  const stream = run(['sh', '-c', 'head -c 1000 /dev/zero | xz -c --lzma2=dict=256MiB']);
  const error = await errorOf(() => decode(stream));
  expect(error.code).toBe('decoder-memory');
  expect(error.hint).toContain('xz -T0 -6');
});

test('bzip2: a digit and a block, or the end of a file of nothing, are part of its magic number', () => {
  expect(detectCompression(run(['bzip2', '-c', '-1'], { input: SMALL }))).toBe('bzip2');
  expect(detectCompression(run(['bzip2', '-c'], { input: Buffer.alloc(0) }))).toBe('bzip2');
  for (const text of ['BZh', 'BZh0', 'BZhang', 'BZh9 is a name', 'BZh91AY&SZ'])
    expect(detectCompression(Buffer.from(text))).toBe('none');
});

test('a file that is not compressed passes unchanged, however short', async () => {
  for (const bytes of [IMAGE, Buffer.from('x'), Buffer.alloc(0)])
    expect((await decode(bytes)).equals(bytes)).toBe(true);
});

test.each(['<!DOCTYPE html><html>', '\n  <html lang="en">', '<HTML><HEAD>'])(
  'a web page is called a web page: %p',
  async (page) => {
    expect((await errorOf(() => detectCompression(Buffer.from(page)))).code).toBe('http-web-page');
  },
);

test('cancelling stops a decoder between output buffers', async () => {
  const bomb = run(['sh', '-c', 'head -c 200000000 /dev/zero | xz -c -1']);
  let written = 0;
  const sink = {
    write(chunk: Uint8Array) {
      written += chunk.length;
      return undefined;
    },
    finish: () => ({ bytes: written, entries: 1 }),
    close: () => undefined,
  };
  const decoder = openDecoder('xz', {
    sink,
    threadingMemory: 0,
    cancelled: () => written > 5_000_000,
  });
  await decoder.write(bomb);
  await decoder.finish();
  decoder.close();
  expect(written).toBeLessThan(20_000_000);
});
