import { detectCompression } from '../decode/compression.ts';
import { isQcow2 } from '../decode/qcow2-magic.ts';
import { type MapResult, noMap, type RangedFile } from './block-map.ts';
import { qcow2Clusters } from './qcow2-clusters.ts';
import { parseQcow2Header } from './qcow2-header.ts';
import { rawBlocks } from './raw-blocks.ts';
import { xzBlocks } from './xz-blocks.ts';
import { zstdFrames } from './zstd-frames.ts';

/**
 * Learns where the bytes of an image lie in a file. Its first bytes decide what it is.
 *
 * @param start the first bytes of the file: 512 of them, or all
 * @throws RdpullError stream-unsupported, stream-corrupt (of a qcow2 image), http-web-page; what `file.read` rejects with
 */
export async function openBlockMap(start: Uint8Array, file: RangedFile): Promise<MapResult> {
  const compression = detectCompression(start);
  switch (compression) {
    case 'xz':
      return xzBlocks(start, file);
    case 'zstd':
      return zstdFrames(file);
    case 'gzip':
    case 'bzip2':
      return noMap(
        `is compressed with ${compression}, which can only be read from its beginning`,
        'compress it with: xz -T0 --block-size=1MiB',
      );
    case 'none':
      if (isQcow2(start)) {
        return { kind: 'map', map: qcow2Clusters(parseQcow2Header(start), file) };
      }
      return file.size === 0
        ? noMap('is empty', 'upload the image again')
        : { kind: 'map', map: rawBlocks(file.size) };
  }
}
