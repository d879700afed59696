import type { BlockMap } from '../blocks/block-map.ts';
import { expectSize } from '../transfer/expected-size.ts';
import type { RoomNeed } from '../transfer/room/target-room.ts';
import type { PinnedSource } from './fetch/pinned-source.ts';
import type { ServedImage } from './served-image.ts';

/** An image that is a file on a server. */
export function imageInFile(source: PinnedSource, map: BlockMap): ServedImage {
  const { url, location, lastModified, validator, size } = source;
  return {
    ...{ source, map, chunks: undefined, url, location, lastModified, validator, size },
    ...{ sha256: undefined, index: undefined },
    [Symbol.dispose]: () => source[Symbol.dispose](),
    room: (enough) => roomFor(source, map, enough),
  };
}

async function roomFor(
  { start, size, read }: PinnedSource,
  map: BlockMap,
  enough: number,
): Promise<RoomNeed> {
  const known = { uncompressed: map.size, exact: true };
  // What comes is put where it belongs: there is no conversion, and what a cluster does not have takes no room.
  if (map.format === 'qcow2') return { ...known, occupied: Math.min(map.size, size) };
  const { occupied } = await expectSize({ start, size, readAt: read, enough });
  return { ...known, occupied: map.format === 'zstd' ? map.size : occupied };
}
