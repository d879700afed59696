import { type Limits, requireSize } from '../limits.ts';
import type { Pipeline } from '../pipeline/pipeline.ts';
import type { TargetRoom } from '../room/target-room.ts';

/** How often it is told how far it is, in ms. */
const INTERVAL = 1000;

/** Of what is free, the share that may be taken without a thought. */
const PLENTY = 0.5;

/** What a qcow2 image is converted with. */
export interface Conversion {
  readonly pipeline: Pipeline;
  readonly room: TargetRoom;
  readonly limits: Limits;
  readonly overcommit: boolean;
  readonly signal: AbortSignal;
  /** Takes how many bytes of the raw image are there, of how many: at the beginning, and as long as there are more. */
  readonly tell: (converted: number, size: number) => void;
}

/**
 * Makes a raw image of the qcow2 image that was downloaded, in its place. Only now, when all of it holds: what nobody vouches
 * for is not looked at, but for its header and the sizes in its tables. Where room is scarce, and the tables allow it, the one
 * shrinks while the other grows, so that both do not have to fit.
 *
 * @param received bytes of the file, as served
 * @returns the bytes of the raw image
 * @throws RdpullError no-room, limit-exceeded, stream-corrupt, or of the storage family
 */
export async function convertImage(received: number, conversion: Conversion): Promise<number> {
  const { pipeline, room, limits, overcommit, signal, tell } = conversion;
  const cancel = () => pipeline.cancel();
  signal.addEventListener('abort', cancel);
  let telling: Timer | undefined;
  try {
    const { size, data, growth } = await pipeline.planConversion();
    requireSize(size, received, limits);
    // Where there is plenty, nothing is given back: on a disk that costs more than the reading.
    const shrinks = growth !== undefined && data > room.available() * PLENTY;
    const occupied = shrinks ? growth : data;
    await room.make({ uncompressed: size, exact: true, occupied }, overcommit);
    let told = 0;
    tell(told, size);
    telling = setInterval(() => {
      const converted = pipeline.convertedBytes;
      if (converted > told) tell(converted, size);
      told = converted;
    }, INTERVAL);
    return await pipeline.convert(shrinks);
  } finally {
    clearInterval(telling);
    signal.removeEventListener('abort', cancel);
  }
}
