import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import type { SeedFiles } from '../../src/chunks/chunk-seed.ts';
import { downloadChunked } from '../../src/on-demand/chunked-download.ts';
import { DEFAULT_LIMITS } from '../../src/transfer/limits.ts';
import { chunksOf, imageToChunk, makeChunks } from '../chunks/chunked-image.ts';
import { LEAST_XFS_MIB, MountedFileSystem } from '../fixtures/mounted-file-system.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { startWebServer, type WebServer } from '../fixtures/web-server.ts';

const site = new TemporaryDirectory();
const OLD = imageToChunk(noiseOf(1_200_000));
/** As much as an upgrade changes: a few bytes, some more, and all that follows moves. */
const NEW = Buffer.concat([OLD.subarray(0, 300_000), noiseOf(5000, 1), OLD.subarray(300_000)]);
let server: WebServer;

beforeAll(() => {
  for (const [name, image] of Object.entries({ old: OLD, new: NEW })) {
    makeChunks(site.path, name, site.write(`${name}.raw`, image));
  }
  server = startWebServer(site.path);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  site[Symbol.dispose]();
});

/** Downloads an image, the new one, with `seeds` on this machine. */
async function download(target: string, seeds: readonly SeedFiles[], name = 'new', image = NEW) {
  const said: string[] = [];
  server.requests.length = 0;
  const options = {
    ...{ ca: [], login: undefined, signal: new AbortController().signal },
    patience: { milliseconds: 0, notify: (text: string) => void said.push(text) },
  };
  const observer = {
    ...{ started: () => undefined, progress: () => undefined, converting: () => undefined },
    ...{ warn: (text: string) => void said.push(text), explain: () => undefined },
  };
  const result = await downloadChunked(
    {
      ...{ locations: [{ url: `${server.url}/${name}.caibx`, login: undefined }], seeds, target },
      stores: [{ url: `${server.url}/default.castr`, login: undefined }],
      ...{ verify: { kind: 'no' }, keyrings: [], certificates: [], limits: DEFAULT_LIMITS },
      ...{ readOnly: false, force: false, overcommit: false, sideFiles: () => [] },
    },
    options,
    observer,
  );
  expect(fs.readFileSync(target).equals(image)).toBe(true);
  const fetched = server.requests.filter((each) => each.includes('castr')).length;
  return { ...result, fetched, said };
}

const seedOf = (directory: TemporaryDirectory, image: Buffer): SeedFiles => ({
  image: directory.write('seed.raw', image),
  index: site.file('old.caibx'),
});

describe('what an image of this machine has is not fetched:', () => {
  test('all but what has changed, with the bytes that were found', async () => {
    using directory = new TemporaryDirectory();
    const seed = seedOf(directory, OLD);
    const whole = await download(directory.file('whole.raw'), []);
    const { fetched, reused, received, said } = await download(directory.file('new.raw'), [seed]);
    expect(said).toEqual([]);
    expect(fetched).toBeLessThan(8);
    expect(received).toBeLessThan(whole.received / 10);
    expect(reused).toEqual([{ path: seed.image, bytes: expect.any(Number) }]);
    expect(reused?.[0]?.bytes).toBeGreaterThan(1_000_000);
    expect(whole.reused).toEqual([]);
  });

  test('a byte that was lost on the disk is found, told, and fetched', async () => {
    using directory = new TemporaryDirectory();
    const damaged = Buffer.from(OLD);
    damaged[900_000] = (damaged[900_000] ?? 0) ^ 1;
    const seed = seedOf(directory, damaged);
    using other = new TemporaryDirectory();
    const good = await download(directory.file('good.raw'), [seedOf(other, OLD)]);
    const { fetched, said } = await download(directory.file('new.raw'), [seed]);
    expect(fetched).toBe(good.fetched + 1);
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(
      /seed\.raw, at byte \d+: chunk [0-9a-f]{64} is another one: its sha512-256 is [0-9a-f]{64}; it is fetched$/,
    );
  });

  test.each([
    ['a seed that ends early', (d: TemporaryDirectory) => seedOf(d, OLD.subarray(0, 800_000))],
    [
      'a seed that is not there',
      (d: TemporaryDirectory) => ({ image: d.file('none'), index: site.file('old.caibx') }),
    ],
    [
      'an index that is none',
      (d: TemporaryDirectory) => ({ image: d.write('seed.raw', OLD), index: d.write('x', 'y') }),
    ],
  ])('%s is of no use, and no harm', async (_, seed) => {
    using directory = new TemporaryDirectory();
    const { said } = await download(directory.file('new.raw'), [seed(directory)]);
    expect(said.length).toBeGreaterThan(0);
  });

  test('an index of other digests', async () => {
    using directory = new TemporaryDirectory();
    const image = directory.write('seed.raw', OLD);
    const index = makeChunks(directory.path, 'other', image, { digest: 'sha256' });
    const { fetched } = await download(directory.file('new.raw'), [{ image, index }]);
    expect(fetched).toBeGreaterThan(chunksOf(site.file('default.castr')).length / 3);
  });
});

describe('an image of this machine without an index is cut into chunks itself:', () => {
  const LARGE = imageToChunk(noiseOf(6 * 1024 * 1024, 2));
  const MORE = Buffer.concat([LARGE.subarray(0, 3_000_000), noiseOf(5000, 3), LARGE.subarray(3_000_000)]);
  beforeAll(() => {
    makeChunks(site.path, 'more', site.write('more.raw', MORE));
  });
  const unknown = (image: string): SeedFiles => ({ image, index: undefined });

  test.each([
    ['as it is', ['cat']],
    ['in xz', ['xz', '-T2', '--block-size=1MiB', '-0', '-c']],
    ['in zstd', ['zstd', '-q', '-c']],
    ['in gzip', ['gzip', '-1', '-c']],
  ])('%s', async (_, command) => {
    using directory = new TemporaryDirectory();
    const seed = directory.write('seed', run(command, { input: LARGE }));
    const { fetched, reused, said } = await download(
      directory.file('new.raw'),
      [unknown(seed)],
      'more',
      MORE,
    );
    expect(said).toEqual([
      `${seed} has no index: it is cut into chunks, to see which of them need not be fetched`,
    ]);
    expect(fetched).toBeGreaterThan(0);
    expect(fetched).toBeLessThan(8);
    expect(reused).toEqual([{ path: seed, bytes: expect.any(Number) }]);
    expect(reused?.[0]?.bytes).toBeGreaterThan(5_900_000);
  });

  test('as far as it is not damaged', async () => {
    using directory = new TemporaryDirectory();
    const packed = run(['xz', '-T2', '--block-size=1MiB', '-0', '-c'], { input: LARGE });
    packed.fill(0, 4_000_000, 4_000_100);
    const seed = directory.write('seed.raw.xz', packed);
    const { reused, said } = await download(directory.file('new.raw'), [unknown(seed)], 'more', MORE);
    expect(said).toEqual([
      expect.stringContaining('has no index: '),
      expect.stringMatching(/seed\.raw\.xz is of no further use for this image: the xz stream is corrupt /),
    ]);
    expect(reused?.[0]?.bytes).toBeGreaterThan(2_500_000);
  });

  test('one after the other, as long as each has much of what is missing, and much is', async () => {
    using directory = new TemporaryDirectory();
    const [newest, older] = [noiseOf(6_000_000, 4), noiseOf(6_000_000, 5)];
    const wanted = Buffer.concat([older, newest]);
    makeChunks(site.path, 'both', directory.write('both.raw', wanted));
    const packed = run(['xz', '-0', '-c'], { input: older });
    const files = {
      newest: directory.write('newest', Buffer.concat([newest, older.subarray(0, 100_000)])),
      older: directory.write('older', packed),
      oldest: directory.write('oldest', newest),
      strange: directory.write('strange', noiseOf(1_000_000, 6)),
    };
    const readOf = (said: readonly string[]) => said.map((each) => each.split(' ')[0]);
    const both = await download(
      directory.file('new.raw'),
      [files.newest, files.older, files.oldest].map(unknown),
      'both',
      wanted,
    );
    expect(readOf(both.said)).toEqual([files.newest, files.older]);
    expect(both.fetched).toBeLessThan(8);
    // What both have is counted once.
    const found = both.reused?.reduce((sum, { bytes }) => sum + bytes, 0) ?? 0;
    expect(found + both.received).toBeLessThan(wanted.length + 100_000);
    const strange = await download(
      directory.file('strange.raw'),
      [files.strange, files.older].map(unknown),
      'both',
      wanted,
    );
    expect(readOf(strange.said)).toEqual([files.strange]);
  });

  test('not where another one has nearly all', async () => {
    using directory = new TemporaryDirectory();
    const seeds = [
      { image: site.file('more.raw'), index: site.file('more.caibx') },
      unknown(site.file('old.raw')),
    ];
    const { fetched, said } = await download(directory.file('new.raw'), seeds, 'more', MORE);
    expect({ fetched, said }).toEqual({ fetched: 0, said: [] });
  });
});

test('where the file system can, an image shares its pages with the one before', async () => {
  using disk = new MountedFileSystem('xfs', LEAST_XFS_MIB);
  const old = `${disk.path}/seed.raw`;
  fs.writeFileSync(old, OLD);
  await download(`${disk.path}/new.raw`, [{ image: old, index: site.file('old.caibx') }]);
  run(['sync', '-f', disk.path]);
  // Only before the change do both lie alike.
  const shared = run(['xfs_io', '-r', '-c', 'fiemap -v', `${disk.path}/new.raw`]).toString();
  // FIEMAP_EXTENT_SHARED, linux/fiemap.h
  expect(shared).toMatch(/0x2[0-9a-f]0[0-9a-f]$/m);
});
