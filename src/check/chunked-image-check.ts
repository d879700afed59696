import { openBlockDecoder } from '../blocks/block-decoder.ts';
import type { BlockMap } from '../blocks/block-map.ts';
import { size } from '../console/quantity.ts';
import { openChunkedImage } from '../on-demand/chunked-image.ts';
import type { ServedImage } from '../on-demand/served-image.ts';
import type { Location, SourceOptions } from '../source/source.ts';
import { aboutUrl } from '../transfer/failed-stream.ts';
import { DEFAULT_LIMITS } from '../transfer/limits.ts';
import type { Demand } from '../transfer/promise.ts';
import type { Findings } from './finding.ts';
import { checkImageStart, type ImageUse, LOOKED_AT } from './image-start.ts';
import type { OfferedImage } from './server.ts';

/**
 * Looks into the index of an image in chunks, and at its first and its last chunks: those that are there say that the store is the right
 * one, and what the image begins like.
 *
 * @throws RdpullError of the network, http, decode or verify family
 */
export async function checkChunkedImage(
  findings: Findings,
  places: { readonly locations: readonly Location[]; readonly stores: readonly Location[] },
  demand: Demand,
  access: SourceOptions,
  use: Omit<ImageUse, 'shown'>,
): Promise<OfferedImage> {
  using image = await openChunkedImage({ ...places, seeds: [] }, demand, DEFAULT_LIMITS, access);
  const { map, url, location, chunks } = image;
  const table = chunks?.table;
  if (table === undefined) throw new Error('an image in chunks has a table of them');
  const { uncompressed, exact, occupied } = await image.room(0);
  const expected = { compression: 'none' as const, format: undefined, uncompressed, exact, occupied };
  findings.ok(
    'server',
    `the index lists ${table.count} chunks of ${size(map.size / table.count)} on average (${table.algorithm}); each is checked when it comes`,
  );
  findings.ok('image', `in chunks, ${size(map.size)}, ${size(occupied)} of it data at most`);
  try {
    const start = await readStart(image, map);
    await readChunk(image, map.size - 1);
    findings.ok('server', 'the store has its first and its last chunk');
    const fileSystem = checkImageStart(findings, start, expected, { ...use, shown: location.url });
    return { url, size: undefined, expected, fileSystem };
  } catch (error) {
    access.signal.throwIfAborted();
    throw aboutUrl(location.url, error);
  }
}

/** As many bytes as are looked at of any image. */
async function readStart(image: ServedImage, map: BlockMap): Promise<Uint8Array> {
  const start = Buffer.alloc(Math.min(LOOKED_AT, map.size));
  for (let at = 0; at < start.length; ) {
    const bytes = await readChunk(image, at);
    bytes.copy(start, at);
    at += bytes.length;
  }
  return start;
}

/** The chunk that has a byte of the image, which is where it begins, or the last one. */
async function readChunk({ map, source }: ServedImage, offset: number): Promise<Buffer> {
  const { length, content } = await map.at(offset);
  const output = Buffer.alloc(length);
  if (content.kind === 'zeros') return output;
  if (content.encoding.kind !== 'chunk' || source.kind !== 'chunks') throw new Error('it is in chunks');
  const { encoding } = content;
  const memory = new Uint8Array(map.largestStored);
  const { bytes, from } = await source.read({ digest: encoding.digest, length }, 0, memory, () => undefined);
  using decoder = openBlockDecoder();
  try {
    decoder.decode(memory.subarray(0, bytes), encoding, output);
  } catch (error) {
    throw aboutUrl(from.url, error);
  }
  return output;
}
