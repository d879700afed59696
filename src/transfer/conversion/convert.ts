import fs from 'node:fs';
import { openBlockDecoder } from '../../blocks/block-decoder.ts';
import { qcow2Clusters } from '../../blocks/qcow2-clusters.ts';
import { openRawImageSink } from '../sink/raw-image.ts';
import { storageError } from '../sink/storage-error.ts';
import { type ConversionPlan, planFor } from './plan.ts';
import { openQcow2File } from './qcow2-file.ts';
import { createRelease } from './release.ts';

export interface ConversionControl {
  /** Polled between blocks; true ends the work early. */
  readonly cancelled: () => boolean;
  /** Takes how many bytes of the raw image are there besides those before. */
  readonly count: (bytes: number) => void;
}

/**
 * What it will take to convert the qcow2 image at `path`. In a worker thread.
 *
 * @throws RdpullError stream-corrupt, or of the storage family
 */
export async function planConversion(path: string, cancelled: () => boolean): Promise<ConversionPlan> {
  try {
    using qcow2 = openQcow2File(path);
    const plan = await planFor(qcow2.header, qcow2, () => !cancelled());
    // Behind the end there is nothing to give back, and a file system that could not says so.
    return qcow2.release(qcow2.size, 4096) ? plan : { ...plan, growth: undefined };
  } catch (error) {
    throw storageError(path, 0, error);
  }
}

/**
 * Puts a raw image in the place of the qcow2 image at `path`: what is not in there becomes a hole. In a worker thread.
 *
 * @param shrinks whether the qcow2 image gives back its room meanwhile
 * @returns the size of the raw image in bytes, unless it was cancelled
 * @throws RdpullError
 */
export async function convertQcow2(
  path: string,
  shrinks: boolean,
  { cancelled, count }: ConversionControl,
): Promise<number> {
  using qcow2 = openQcow2File(path);
  using decoder = openBlockDecoder();
  const map = qcow2Clusters(qcow2.header, qcow2);
  const release = createRelease((offset, length) => void qcow2.release(offset, length));
  const stored = new Uint8Array(map.largestStored);
  /** One of them is being filled while the other one is being written. */
  const outputs = [new Uint8Array(map.largestBlock), new Uint8Array(map.largestBlock)] as const;
  let filled: 0 | 1 = 0;
  let writing: Promise<void> | undefined;
  const made = `${path}.raw`;
  const sink = openRawImageSink(made);
  try {
    for (let at = 0; at < map.size && !cancelled(); ) {
      const { start, length, content } = await map.at(at);
      at = start + length;
      if (content.kind === 'zeros') {
        sink.skip(length);
      } else {
        const input = stored.subarray(0, content.length);
        qcow2.readAt(content.offset, input);
        const output = outputs[filled].subarray(0, length);
        decoder.decode(input, content.encoding, output);
        if (shrinks) release.read(content.offset, content.length);
        await writing;
        writing = sink.write(output);
        // A failure is seen by whoever waits for it next.
        writing.catch(() => undefined);
        filled = filled === 0 ? 1 : 0;
      }
      count(length);
    }
    if (cancelled()) return 0;
    const { bytes } = await sink.finish();
    fs.renameSync(made, path);
    return bytes;
  } catch (error) {
    throw storageError(path, 0, error);
  } finally {
    await sink.close();
  }
}
