import { imageBytes } from '../../expose/image-bytes.ts';
import { type ImageLayout, identifyImage } from '../../expose/image-layout.ts';
import type { Partition } from '../../expose/partition-table.ts';
import type { ImageCache } from '../cache/image-cache.ts';

/** Part of a cache that was looked at, and is not there yet. */
class NotThere extends Error {
  constructor(
    readonly offset: number,
    readonly length: number,
  ) {
    super(`${length} bytes at ${offset} are not there`);
  }
}

/**
 * Looks what an image holds, as {@link identifyImage} does, and has come what it needs for that: the start, of a GPT the end as well
 * when the start is damaged.
 *
 * @throws RdpullError image-unrecognised; what `want` rejects with
 */
export async function identifyCachedImage(
  cache: ImageCache,
  want: (offset: number, length: number) => Promise<void>,
  path: string,
): Promise<ImageLayout> {
  const bytes = imageBytes(cache.fd);
  const present = {
    size: cache.size,
    read(offset: number, length: number) {
      const end = Math.min(offset + length, cache.size);
      if (offset < end && !cache.present.has(offset, end - offset)) throw new NotThere(offset, end - offset);
      return bytes.read(offset, length);
    },
  };
  for (let last: NotThere | undefined; ; ) {
    try {
      return identifyImage(present, path);
    } catch (error) {
      // What has come and is still not there will not come.
      if (!(error instanceof NotThere) || last?.message === error.message) throw error;
      await want(error.offset, error.length);
      last = error;
    }
  }
}

/** ID_PART_ENTRY_TYPE of Linux in an MBR: something has to be said of a partition that no table has. */
const TYPE_LINUX = '0x83';

/**
 * The partitions that a device on demand has. A bare file system gets one that holds all of it, in place of those that its boot
 * sector may tell of: what is mounted from a partition outlives that another file is put under the device; ext4 that is mounted from the
 * whole device shuts down (Linux 6.12 to 7.2).
 */
export function onDemandLayout(layout: ImageLayout, size: number): ImageLayout {
  if (layout.kind !== 'file-system') return layout;
  const whole: Partition = {
    number: 1,
    start: 0,
    size: size - (size % layout.sectorSize),
    type: TYPE_LINUX,
  };
  return { ...layout, partitions: [whole] };
}
