import { expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { createServedDigest } from '../../../src/on-demand/fetch/served-digest.ts';
import { TemporaryDirectory } from '../../fixtures/temporary-directory.ts';
import { SeededRandom } from '../../request/seeded-random.ts';

/** The parts of a file, cut anywhere. */
function partsOf(random: SeededRandom, size: number): [number, number][] {
  const cuts = new Set([0, size]);
  for (let cut = 0; cut < 40; cut++) cuts.add(random.below(size));
  const sorted = [...cuts].sort((one, other) => one - other);
  return sorted.slice(1).map((to, index) => [sorted[index] ?? 0, to]);
}

test('whatever the order in which its parts come, it is the digest of the file', async () => {
  const random = new SeededRandom(3);
  for (let run = 0; run < 30; run++) {
    using directory = new TemporaryDirectory();
    const file = Buffer.from(Uint8Array.from({ length: 1 + random.below(300_000) }, () => random.below(256)));
    const path = directory.file('waiting');
    const fd = fs.openSync(path, 'w+');
    const digest = createServedDigest(file.length, { fd, path, isCache: false });
    const parts = partsOf(random, file.length);
    while (parts.length > 0) {
      const index = random.below(Math.min(parts.length, random.pick([1, 3, 100])));
      const [from, to] = parts.splice(index, 1)[0] ?? [0, 0];
      // What lies beside it may come again.
      const more = random.below(2) * random.below(500);
      digest.add(Math.max(0, from - more), file.subarray(Math.max(0, from - more), to));
      if (random.below(3) === 0) await Bun.sleep(0);
      const missing = digest.missing();
      if (missing !== undefined) expect(parts.some(([start]) => start <= missing.from)).toBe(true);
    }
    expect(digest.missing()).toBeUndefined();
    expect(await digest.result()).toBe(createHash('sha256').update(file).digest('hex'));
    // What has had its turn takes no room any more, but for a page where it ended.
    expect(fs.fstatSync(fd).blocks * 512).toBeLessThanOrEqual(42 * 4096);
    fs.closeSync(fd);
  }
});

test('when nothing can be kept, there is none, and nobody else is told', async () => {
  using directory = new TemporaryDirectory();
  const path = directory.write('waiting', '');
  const fd = fs.openSync(path, 'r');
  const digest = createServedDigest(100, { fd, path, isCache: false });
  digest.add(50, new Uint8Array(50));
  digest.add(0, new Uint8Array(50));
  expect(digest.missing()).toBeUndefined();
  expect(digest.result()).rejects.toMatchObject({ code: 'storage-failed' });
  fs.closeSync(fd);
});
