import { afterAll, test } from 'bun:test';
import fs from 'node:fs';
import { isQcow2 } from '../../../src/decode/qcow2-magic.ts';
import { convertQcow2, planConversion } from '../../../src/transfer/conversion/convert.ts';
import { imageOf } from '../../blocks/mapped-image.ts';
import { qcow2Of, writtenQcow2 } from '../../blocks/qcow2-images.ts';
import { alwaysAsync, mutatedBytes, unlessRefusedAsync } from '../../fixtures/property.ts';
import { TemporaryDirectory } from '../../fixtures/temporary-directory.ts';
import { SeededRandom } from '../../request/seeded-random.ts';

const directory = new TemporaryDirectory();
afterAll(() => directory[Symbol.dispose]());

const raw = directory.write('image.raw', imageOf(new SeededRandom(1), 48 * 1024));
const SAMPLES = [
  qcow2Of(directory, raw, 'cluster_size=512'),
  qcow2Of(directory, raw, 'cluster_size=512', '-c'),
  qcow2Of(directory, raw, 'cluster_size=4k'),
  qcow2Of(directory, raw, 'cluster_size=4k,compression_type=zstd', '-c'),
  writtenQcow2(directory, '256k', 'cluster_size=16k,extended_l2=on', [
    'write -P 1 1k 90k',
    'write -P 2 160k 20k',
  ]),
].map((file) => fs.readFileSync(file));

const MIB = 1024 * 1024;
const work = { cancelled: () => false, count: () => undefined };

/** What becomes of an image; undefined when it is refused. */
async function converted(bytes: Uint8Array, shrinks: boolean): Promise<Buffer | undefined> {
  const file = directory.write('object', bytes);
  try {
    return await unlessRefusedAsync(async () => {
      await convertQcow2(file, shrinks, work);
      return fs.readFileSync(file);
    });
  } finally {
    fs.rmSync(`${file}.raw`, { force: true });
  }
}

test('a hostile qcow2 image is refused, or becomes what it says, whether it shrinks or not', async () => {
  await alwaysAsync(
    mutatedBytes(SAMPLES),
    async (bytes) => {
      if (!isQcow2(bytes)) return;
      const file = directory.write('object', bytes);
      const plan = await unlessRefusedAsync(() => planConversion(file, () => false));
      // The limits of a transfer come before.
      if (plan === undefined || plan.size > 4 * MIB) return;
      const image = await converted(bytes, false);
      if (image !== undefined && image.length !== plan.size)
        throw new Error(`${image.length} bytes, not ${plan.size}`);
      if (plan.growth === undefined) return;
      const other = await converted(bytes, true);
      if (image === undefined ? other !== undefined : !other?.equals(image))
        throw new Error('it is another image');
    },
    0.05,
  );
});
