import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { rdpull } from '../fixtures/executable.ts';
import { CACHE, largeImage } from '../fixtures/large-image.ts';
import { type Nginx, startNginx } from '../fixtures/nginx.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const MIB = 1024 * 1024;
/** What a pull may take at most, in bytes; zstd takes the window of its stream in addition. */
const BOUND = 150 * MIB;
/** The same when the blocks of an xz file are decoded side by side. */
const THREADED_BOUND = 300 * MIB;

/** 4 GiB, of which 64 MiB are not zeros. */
const IMAGE = 'four-gib.raw';
/** 320 MiB: more than the largest dictionary, so that all of that is filled. */
const SMALLER = 'dictionary.raw';

const target = new TemporaryDirectory();
let server: Nginx;

beforeAll(async () => {
  await largeImage(
    IMAGE,
    { size: 4096 * MIB, noise: 64 * MIB },
    {
      // To the decoder the same as -6, with 24 MiB blocks and dictionaries of 8 MiB, but made in a third of the time.
      xz: ['xz', '-T0', '--block-size=24MiB', '--lzma2=preset=6,mode=fast,mf=hc3,nice=273'],
      gz: ['gzip', '-1'],
      zst: ['zstd', '-3', '-T0'],
      'long.zst': ['zstd', '-3', '-T0', '--long=27'],
    },
  );
  await largeImage(
    SMALLER,
    { size: 320 * MIB, noise: 8 * MIB },
    {
      'one-block.xz': ['xz', '-9', '-T1'],
      'small-blocks.xz': ['xz', '-T0', '--block-size=12MiB', '--lzma2=preset=9,mode=fast,mf=hc3,nice=273'],
      // As `xz -T0 -9`: blocks of 192 MiB, two of which never fit.
      'large-blocks.xz': ['xz', '-T0', '--block-size=192MiB', '--lzma2=preset=9,mode=fast,mf=hc3,nice=273'],
    },
  );
  const qcow2 = path.join(CACHE, `${IMAGE}.qcow2`);
  if (!fs.existsSync(qcow2)) {
    const options = ['-c', '-o', 'cluster_size=2M,compression_type=zstd'];
    run([
      'qemu-img',
      'convert',
      '-O',
      'qcow2',
      ...options,
      path.join(CACHE, IMAGE),
      `${qcow2}.${process.pid}`,
    ]);
    fs.renameSync(`${qcow2}.${process.pid}`, qcow2);
  }
  server = await startNginx(CACHE);
}, 600_000);
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  target[Symbol.dispose]();
});

/** The window of a zstd file, in bytes, as zstd(1) tells it. */
function zstdWindow(name: string): number {
  if (!name.endsWith('.zst')) return 0;
  const listing = run(['zstd', '-lv', path.join(CACHE, name)]).toString();
  return Number(/^Window Size: .* \((\d+) B\)$/m.exec(listing)?.[1]);
}

describe('the peak RSS of a pull stays within its bound and the window of a zstd stream', () => {
  test.each([
    { name: IMAGE, of: IMAGE, what: 'as it is' },
    { name: `${IMAGE}.xz`, of: IMAGE, what: 'xz -T0 -6', most: THREADED_BOUND },
    { name: `${IMAGE}.xz`, of: IMAGE, what: 'xz -T0 -6 in little memory', args: ['--memory=128M'] },
    { name: `${IMAGE}.gz`, of: IMAGE, what: 'gzip -1' },
    { name: `${IMAGE}.zst`, of: IMAGE, what: 'zstd -3' },
    { name: `${IMAGE}.long.zst`, of: IMAGE, what: 'zstd -3 --long=27' },
    { name: `${IMAGE}.qcow2`, of: IMAGE, what: 'qcow2, in the largest clusters' },
    { name: `${SMALLER}.one-block.xz`, of: SMALLER, what: 'xz -9 -T1, a dictionary of 64 MiB' },
    {
      name: `${SMALLER}.small-blocks.xz`,
      of: SMALLER,
      what: 'xz -9 in blocks of 12 MiB',
      most: THREADED_BOUND,
    },
    { name: `${SMALLER}.large-blocks.xz`, of: SMALLER, what: 'xz -T0 -9', most: THREADED_BOUND },
  ])('$name: $what', async ({ name, of, most = BOUND, args = [] }) => {
    const original = path.join(CACHE, of);
    const bound = most + zstdWindow(name);
    const figure = target.file('rss');
    const begun = performance.now();
    const { status, stderr } = await rdpull(
      [
        'pull',
        ...args,
        '--verify=no',
        '--quiet',
        '--local=x',
        `--image-root=${target.path}`,
        `${server.url}/${name}`,
      ],
      // Not the usage that Bun reports: a child begins with the peak of the process that forked it.
      { wrapper: ['/usr/bin/time', '--format=%M', `--output=${figure}`] },
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const seconds = (performance.now() - begun) / 1000;
    const peak = Number(fs.readFileSync(figure, 'utf8')) * 1024;
    console.log(
      `${name}: peak RSS ${(peak / MIB).toFixed(1)} MiB of ${(bound / MIB).toFixed(0)} MiB, ${seconds.toFixed(1)} s`,
    );
    expect(peak).toBeLessThan(bound);

    const pulled = target.file('x.raw');
    run(['python3', path.join(import.meta.dir, '../fixtures/compare-sparse.py'), original, pulled]);
    // Nothing but the noise takes space: a block on either side of a piece at most, and what maps them.
    expect(fs.statSync(pulled).blocks).toBeLessThan(fs.statSync(original).blocks * 1.02);
    fs.rmSync(pulled);
  });
});
