import { describe, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { imageOf } from '../../blocks/mapped-image.ts';
import { qcow2Of } from '../../blocks/qcow2-images.ts';
import { seekableZstd, seekTable } from '../../blocks/seekable-zstd.ts';
import { type FaultCall, type FaultServer, sendFile, startFaultServer } from '../../fixtures/fault-server.ts';
import { startNginx } from '../../fixtures/nginx.ts';
import { noiseOf } from '../../fixtures/noise.ts';
import { RdpullServe } from '../../fixtures/rdpull-serve.ts';
import { run } from '../../fixtures/run.ts';
import { TemporaryDirectory } from '../../fixtures/temporary-directory.ts';
import { SeededRandom } from '../../request/seeded-random.ts';
import { failureOf } from '../../source/reading.ts';
import { Fetching } from './fetching.ts';

const ONE = { ETag: '"one"' };
const MIB = 1024 * 1024;

/** Its length is no multiple of anything. */
const IMAGE = imageOf(new SeededRandom(14), 5_000_011);
const NOISE = noiseOf(3_000_000);

const xzOf = (image: Uint8Array, block: string, ...options: string[]) =>
  run(['xz', '-1', '-T2', `--block-size=${block}`, ...options, '-c'], { input: image });

function piecesOf(image: Uint8Array, length: number): Uint8Array[] {
  return Array.from({ length: Math.ceil(image.length / length) }, (_, index) =>
    image.subarray(index * length, (index + 1) * length),
  );
}

function qcow2(image: Uint8Array, options: string, ...more: string[]): Buffer {
  using directory = new TemporaryDirectory();
  return fs.readFileSync(qcow2Of(directory, directory.write('image.raw', image), options, ...more));
}

/** qcow2 images are as long as a multiple of a sector. */
const SECTORS = IMAGE.subarray(0, 5_000_192 - 512);

const FILES = {
  raw: { image: IMAGE, file: IMAGE },
  'xz in blocks that end within pages': { image: IMAGE, file: xzOf(IMAGE, '100001') },
  'xz in blocks below a page': {
    image: IMAGE.subarray(0, 900_000),
    file: xzOf(IMAGE.subarray(0, 900_000), '1500'),
  },
  'xz of several streams': {
    image: IMAGE,
    file: Buffer.concat([
      xzOf(IMAGE.subarray(0, 2_000_000), '300000'),
      xzOf(IMAGE.subarray(2_000_000), '70000'),
    ]),
  },
  'xz in blocks above 2 MiB': { image: IMAGE, file: xzOf(IMAGE, '2300000') },
  'zstd frames': { image: IMAGE, file: seekableZstd(piecesOf(IMAGE, 200_000), true) },
  qcow2: { image: SECTORS, file: qcow2(SECTORS, '') },
  'compressed qcow2': { image: SECTORS, file: qcow2(SECTORS, 'cluster_size=16k', '-c') },
} as const;

const serve = (file: Uint8Array, how: Parameters<typeof sendFile>[2] = {}) =>
  startFaultServer((call) => sendFile(call, file, { headers: ONE, ...how }));
const urlOf = (server: FaultServer) => `${server.url}/image`;
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** Reads a random part, and compares it. */
async function readSomewhere(fetching: Fetching, image: Uint8Array, random: SeededRandom): Promise<void> {
  const offset = random.below(image.length);
  const length = 1 + random.below(Math.min(image.length - offset, random.pick([5000, 100_000, 700_000])));
  const read = await fetching.read(offset, length);
  expect(read.equals(image.subarray(offset, offset + length))).toBe(true);
}

/** The bytes of all ranges that were asked for. */
function askedFor({ requests }: FaultServer): number {
  return requests.reduce((sum, head) => {
    const [, from = '0', to = '0'] = /^range: bytes=(\d+)-(\d+)\r$/im.exec(head) ?? [];
    return sum + Number(to) - Number(from) + 1;
  }, 0);
}

describe('what is read is the image, while the rest arrives, and nothing is fetched twice:', () => {
  test.each(Object.entries(FILES))('%s', async (name, { image, file }) => {
    await using server = await serve(file);
    await using fetching = await Fetching.open([urlOf(server)], { digest: true });
    const random = new SeededRandom(name.length);
    const readers = Array.from({ length: 6 }, async () => {
      for (let read = 0; read < 6; read++) await readSomewhere(fetching, image, random);
    });
    await Promise.all(readers.slice(0, 3));
    const digest = await fetching.fetcher.fill();
    await Promise.all(readers);
    expect(fetching.all().equals(image)).toBe(true);
    expect(digest).toBe(sha256(file));
    expect(fetching.said).toEqual([]);
    expect(fetching.fetcher.figures).toMatchObject({ present: image.length, size: image.length, left: 0 });
    // Of qcow2 images, tables are read where they are wanted, and a sector may belong to two clusters.
    if (!name.includes('qcow2')) expect(askedFor(server)).toBe(file.length);
    else expect(askedFor(server)).toBeLessThan(file.length * 1.2 + 200_000);
  });

  test('of nginx and of rdpull serve, over a few connections', async () => {
    using directory = new TemporaryDirectory();
    directory.write('image.xz', FILES['xz in blocks that end within pages'].file);
    await using nginx = await startNginx(directory.path);
    await using served = await RdpullServe.start(directory.path);
    for (const url of [`${nginx.url}/image.xz`, served.url('image.xz')]) {
      await using fetching = await Fetching.open([url]);
      await readSomewhere(fetching, IMAGE, new SeededRandom(1));
      expect(await fetching.fetcher.fill()).toBeUndefined();
      expect(fetching.all().equals(IMAGE)).toBe(true);
    }
  });

  test('and without a fill only what is wanted is', async () => {
    await using server = await serve(NOISE);
    await using fetching = await Fetching.open([urlOf(server)]);
    await Promise.all([
      fetching.read(1_000_000, 10),
      fetching.read(1_000_100, 10),
      fetching.read(1_000_000, 10),
    ]);
    expect(fetching.fetcher.figures).toMatchObject({
      blocks: 1,
      blocksOnDemand: 1,
      bytesOnDemand: 30,
      present: 131_072,
    });
    expect(server.requests.length).toBe(2);
  });
});

describe('zeros', () => {
  test('take no room, and those of a qcow2 image no request', async () => {
    const image = Buffer.alloc(8 * MIB);
    noiseOf(300_000, 1).copy(image, 3 * MIB);
    for (const file of [image, xzOf(image, '1MiB'), qcow2(image, '')]) {
      await using server = await serve(file);
      await using fetching = await Fetching.open([urlOf(server)]);
      await fetching.fetcher.fill();
      expect(fetching.all().equals(image)).toBe(true);
      expect(fetching.fetcher.figures.present).toBe(image.length);
      expect(fs.fstatSync(fetching.cache.fd).blocks * 512).toBeLessThan(340_000);
      if (file.length < MIB) expect(fetching.fetcher.figures.blocks).toBeLessThan(9);
    }
  });

  test('at the end of large blocks are given back', async () => {
    const image = Buffer.alloc(9 * MIB);
    noiseOf(MIB, 2).copy(image, 2 * MIB);
    await using server = await serve(xzOf(image, '3MiB'));
    await using fetching = await Fetching.open([urlOf(server)]);
    await fetching.fetcher.fill();
    expect(fetching.all().equals(image)).toBe(true);
    expect(fs.fstatSync(fetching.cache.fd).blocks * 512).toBeLessThanOrEqual(MIB + 64 * 1024);
  });
});

/** What a server may do wrong to one request. */
const FAULTS: readonly ((call: FaultCall, file: Uint8Array, random: SeededRandom) => Promise<void> | void)[] =
  [
    (call) => call.reset(),
    (call, file, random) =>
      sendFile(call, file, { headers: ONE, stop: { after: random.below(60_000), by: 'reset' } }),
    (call, file, random) =>
      sendFile(call, file, { headers: ONE, stop: { after: random.below(60_000), by: 'end' } }),
    (call, file) => sendFile(call, file, { headers: ONE, stop: { after: 1000, by: 'stall' } }),
    (call, file) =>
      sendFile(call, file, { headers: { ...ONE, 'Content-Range': `bytes 7-9/${file.length}` } }),
    (call, file) => sendFile(call, file, { headers: { ETag: '"two"' } }),
    (call, file) => sendFile(call, file, { headers: ONE, ranges: false }),
    (call, file) =>
      call.send(
        `HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */${file.length}\r\nContent-Length: 0\r\n\r\n`,
      ),
    (call) => call.send('HTTP/1.1 503 Service Unavailable\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n'),
    (call, file) => sendLong(call, file),
  ];

/** More than was asked for, in a body that says nothing of its length. */
async function sendLong(call: FaultCall, file: Uint8Array): Promise<void> {
  const [, from = '0', to = '0'] = /^bytes=(\d+)-(\d+)$/.exec(call.header('range') ?? '') ?? [];
  await call.send(
    `HTTP/1.1 206 Partial Content\r\nETag: "one"\r\nContent-Range: bytes ${from}-${to}/${file.length}\r\nConnection: close\r\n\r\n`,
  );
  await call.send(file.subarray(Number(from), Number(to) + 1));
  await call.send(noiseOf(5000, 3));
  call.end();
}

describe.concurrent('a server that', () => {
  test.each(['raw', 'xz in blocks that end within pages'] as const)(
    'drops, stalls and lies brings nobody a wrong byte: %s',
    async (name) => {
      const { image, file } = FILES[name];
      const random = new SeededRandom(99);
      const faulty = (call: FaultCall) => {
        const fault =
          call.number === 0 || random.below(4) > 0 ? undefined : FAULTS[random.below(FAULTS.length)];
        return fault === undefined ? sendFile(call, file, { headers: ONE }) : fault(call, file, random);
      };
      await using server = await startFaultServer(faulty);
      const patience = { milliseconds: Number.POSITIVE_INFINITY, notify: () => undefined };
      await using fetching = await Fetching.open([urlOf(server)], { patience, digest: true, silence: 300 });
      const readers = Array.from({ length: 4 }, async () => {
        for (let read = 0; read < 8; read++) {
          try {
            await readSomewhere(fetching, image, random);
          } catch (error) {
            // It has said twice that it has another image: the reader is told, and may ask again.
            expect(error).toMatchObject({ code: 'http-changed' });
          }
        }
      });
      await Promise.all(readers);
      const filled = fetching.fetcher.fill();
      const digest = await filled.catch(async (error) => {
        expect(error).toMatchObject({ code: 'http-changed' });
        return undefined;
      });
      if (digest !== undefined) {
        expect(digest).toBe(sha256(file));
        expect(fetching.all().equals(image)).toBe(true);
      }
    },
    60_000,
  );

  test('loses a hundred connections holds nobody up for long, and sends nothing twice', async () => {
    let lost = 0;
    await using server = await startFaultServer((call) => {
      const isLost = call.number > 0 && lost < 100;
      if (isLost) lost++;
      return sendFile(call, NOISE, {
        headers: ONE,
        chunk: () => 18_000,
        ...(isLost && { stop: { after: 18_000, by: 'reset' as const } }),
      });
    });
    await using fetching = await Fetching.open([urlOf(server)], { digest: true });
    await fetching.read(2_000_000, 300_000);
    expect(await fetching.fetcher.fill()).toBe(sha256(NOISE));
    expect(lost).toBe(100);
    expect(fetching.all().equals(NOISE)).toBe(true);
    expect(fetching.fetcher.figures.fetched).toBe(NOISE.length);
  });

  test('is away for a while is waited for', async () => {
    await using server = await serve(NOISE);
    const patience = { milliseconds: Number.POSITIVE_INFINITY, notify: () => undefined };
    await using fetching = await Fetching.open([urlOf(server)], { patience });
    await server.pause();
    const read = fetching.read(2_000_000, 1000);
    const filled = fetching.fetcher.fill();
    await Bun.sleep(1200);
    await server.resume();
    expect((await read).equals(NOISE.subarray(2_000_000, 2_001_000))).toBe(true);
    await filled;
    expect(fetching.all().equals(NOISE)).toBe(true);
  });

  test('has another image in the middle ends the fill, and what is there stays', async () => {
    let tag = ONE;
    await using server = await startFaultServer((call) => {
      if (call.number === 3) tag = { ETag: '"two"' };
      return sendFile(call, NOISE, { headers: tag });
    });
    await using fetching = await Fetching.open([urlOf(server)], { fillRate: 10_000_000 });
    expect(await failureOf(fetching.fetcher.fill())).toMatchObject({
      code: 'http-changed',
      message: `${urlOf(server)}: this is not the image any more that was opened: it has another ETag now`,
    });
    expect((await fetching.read(0, 1000)).equals(NOISE.subarray(0, 1000))).toBe(true);
    expect(await failureOf(fetching.fetcher.want(2_900_000, 1000))).toMatchObject({ code: 'http-changed' });
    tag = ONE;
    expect((await fetching.read(2_900_000, 1000)).equals(NOISE.subarray(2_900_000, 2_901_000))).toBe(true);
  });
});

describe('a block that does not hold', () => {
  const { file } = FILES['xz in blocks that end within pages'];
  const spoilt = Buffer.from(file);
  const AT = 800_000;
  spoilt[AT] = (spoilt[AT] ?? 0) ^ 1;

  test('is fetched once more', async () => {
    let isSpoilt = true;
    await using server = await startFaultServer((call) => {
      const content = isSpoilt ? spoilt : file;
      const [, from = '0', to = '0'] = /bytes=(\d+)-(\d+)/.exec(call.header('range') ?? '') ?? [];
      if (Number(from) <= AT && Number(to) >= AT) isSpoilt = false;
      return sendFile(call, content, { headers: ONE });
    });
    await using fetching = await Fetching.open([urlOf(server)], { digest: true });
    expect(await fetching.fetcher.fill()).toBe(sha256(file));
    expect(fetching.all().equals(IMAGE)).toBe(true);
    expect(fetching.said).toEqual([expect.stringMatching(/corrupt.*; it is fetched again$/)]);
  });

  test('from a mirror, where there is one', async () => {
    await using server = await serve(spoilt);
    await using mirror = await serve(file);
    await using fetching = await Fetching.open([urlOf(server), urlOf(mirror)]);
    await fetching.fetcher.fill();
    expect(fetching.all().equals(IMAGE)).toBe(true);
    expect(fetching.said.map((line) => line.replace(/.*; /, ''))).toEqual([
      `it is fetched again from ${urlOf(mirror)}`,
    ]);
  });

  test('and if it never does, its readers are told, and the fill ends, and no byte of it is there', async () => {
    await using server = await serve(spoilt);
    await using fetching = await Fetching.open([urlOf(server)]);
    expect(await failureOf(fetching.fetcher.fill())).toMatchObject({ code: 'stream-corrupt' });
    const random = new SeededRandom(5);
    let refused = 0;
    for (let offset = 0; offset < IMAGE.length; offset += 4096) {
      const length = Math.min(4096, IMAGE.length - offset);
      try {
        const read = await fetching.read(offset, length);
        expect(read.equals(IMAGE.subarray(offset, offset + length))).toBe(true);
      } catch (error) {
        expect(error).toMatchObject({ code: 'stream-corrupt' });
        refused++;
        // Each of them asks the server: not for all pages of the block.
        offset += random.below(40_000);
      }
    }
    expect(refused).toBeGreaterThan(0);
  });

  test('because the index lies about it', async () => {
    const pieces = piecesOf(IMAGE, 400_000);
    const frames = pieces.map((piece) => run(['zstd', '-q', '-c', '-1'], { input: piece }));
    const table = seekTable(
      frames.map((frame, index) => ({
        stored: frame.length,
        // One byte more than there is, and one less.
        length: (pieces[index]?.length ?? 0) + (index === 1 ? 1 : index === 2 ? -1 : 0),
        checksum: 0,
      })),
      false,
    );
    await using server = await serve(Buffer.concat([...frames, table]));
    await using fetching = await Fetching.open([urlOf(server)]);
    expect(await failureOf(fetching.fetcher.want(500_000, 1000))).toMatchObject({ code: 'stream-corrupt' });
    expect(await failureOf(fetching.fetcher.want(900_000, 1000))).toMatchObject({ code: 'stream-corrupt' });
    expect((await fetching.read(1000, 1000)).equals(IMAGE.subarray(1000, 2000))).toBe(true);
    expect((await fetching.read(1_300_000, 1000)).equals(IMAGE.subarray(1_300_000, 1_301_000))).toBe(true);
  });
});

describe('the fill', () => {
  test('takes no more of the network than it may, and readers are not held back by that', async () => {
    await using server = await serve(NOISE);
    await using fetching = await Fetching.open([urlOf(server)], { fillRate: 1_500_000 });
    const begun = performance.now();
    let isFilled = false;
    const filled = fetching.fetcher.fill().then(() => {
      isFilled = true;
    });
    await fetching.read(2_500_000, 400_000);
    expect(isFilled).toBe(false);
    await filled;
    // What was wanted meanwhile, and was here before, is not counted.
    expect(performance.now() - begun).toBeGreaterThan(((NOISE.length - 900_000) * 1000) / 1_500_000);
  });

  test('on a slow network holds nobody up for longer than one of its requests takes', async () => {
    const link = createLink(MIB);
    await using server = await startFaultServer((call) => link(call, NOISE));
    await using fetching = await Fetching.open([urlOf(server)]);
    const filled = fetching.fetcher.fill();
    await Bun.sleep(600);
    const waits: number[] = [];
    for (const offset of [2_800_000, 2_400_000, 1_900_000]) {
      const begun = performance.now();
      await fetching.read(offset, 4096);
      waits.push(performance.now() - begun);
      await Bun.sleep(150);
    }
    // A block of 128 KiB takes 125 ms by itself, and a request of the fill as long.
    expect(Math.max(...waits)).toBeLessThan(420);
    await filled;
    expect(fetching.all().equals(NOISE)).toBe(true);
    expect(fetching.fetcher.figures.fetched).toBe(NOISE.length);
  });

  test('that nobody needs any more ends, and so do those who wait', async () => {
    await using server = await startFaultServer((call) =>
      sendFile(call, NOISE, { headers: ONE, ...(call.number > 0 && { stop: { after: 1000, by: 'stall' } }) }),
    );
    const fetching = await Fetching.open([urlOf(server)]);
    const outcomes = Promise.allSettled([fetching.fetcher.fill(), fetching.fetcher.want(2_000_000, 1000)]);
    await Bun.sleep(100);
    const begun = performance.now();
    await fetching[Symbol.asyncDispose]();
    expect((await outcomes).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(performance.now() - begun).toBeLessThan(1000);
  });
});

/** A server whose connections share one line of so many bytes a second. */
function createLink(rate: number): (call: FaultCall, file: Uint8Array) => Promise<void> {
  const PIECE = 8192;
  let free = 0;
  return async (call, file) => {
    const [, from = '0', to = '0'] = /^bytes=(\d+)-(\d+)$/.exec(call.header('range') ?? '') ?? [];
    const end = Math.min(Number(to) + 1, file.length);
    await call.send(
      `HTTP/1.1 206 Partial Content\r\nETag: "one"\r\nContent-Range: bytes ${from}-${end - 1}/${file.length}\r\nContent-Length: ${end - Number(from)}\r\n\r\n`,
    );
    for (let at = Number(from); at < end; at += PIECE) {
      const now = performance.now();
      free = Math.max(now, free) + (PIECE * 1000) / rate;
      await Bun.sleep(free - now);
      await call.send(file.subarray(at, Math.min(end, at + PIECE)));
    }
  };
}
