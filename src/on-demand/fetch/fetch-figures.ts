import { createRateMeter } from '../../console/transfer-rate.ts';
import type { CoveredPages } from './covered-pages.ts';
import type { BlockSource, RunDelivery } from './run-delivery.ts';
import type { ServedDigest } from './served-digest.ts';

/** How often the rate is measured, in ms. */
const RATE_INTERVAL = 250;

/** How far it is. */
export interface FetchFigures {
  /** Bytes of the image, and how many of them are there. */
  readonly size: number;
  readonly present: number;
  /** Blocks that were fetched, and those of them that somebody waited for. */
  readonly blocks: number;
  readonly blocksOnDemand: number;
  /** Bytes of the image that were asked for before they were there. */
  readonly bytesOnDemand: number;
  /** Bytes as served: of the file, and that came, by how many requests. */
  readonly served: number;
  readonly fetched: number;
  readonly requests: number;
  /** Bytes as served that come in a second. */
  readonly rate: number;
  /** How long it takes until all is there, at this rate, in ms: 0 when it is; undefined when nothing comes. */
  readonly left: number | undefined;
  /** Bytes of the image that were found on this machine, by the path of the file that had them. */
  readonly reused: ReadonlyMap<string, number>;
  /** The most bytes that have waited for the digest, in its file. */
  readonly waited: number;
}

/** Where the figures come from. */
export interface Counted {
  /** Bytes of the image. */
  readonly size: number;
  /** Bytes that are to be fetched. */
  readonly served: number;
  readonly source: BlockSource;
  readonly covered: CoveredPages;
  readonly delivery: RunDelivery;
  readonly digest: ServedDigest | undefined;
}

/** @returns tells the figures of the moment, given the bytes that were asked for before they were there */
export function createFetchFigures({ size, served, source, covered, delivery, digest }: Counted) {
  let ratedAt = performance.now();
  let rate = 0;
  const rateAt = createRateMeter(ratedAt);

  return (bytesOnDemand: number): FetchFigures => {
    const now = performance.now();
    if (now - ratedAt >= RATE_INTERVAL) {
      ratedAt = now;
      rate = rateAt(now, source.fetched);
    }
    const left = covered.bytes === size ? 0 : Math.max(0, served - source.fetched);
    return {
      size,
      present: covered.bytes,
      blocks: delivery.blocks,
      blocksOnDemand: delivery.blocksOnDemand,
      bytesOnDemand,
      served,
      fetched: source.fetched,
      requests: source.requests,
      rate,
      left: left === 0 ? 0 : rate > 0 ? (left * 1000) / rate : undefined,
      reused: delivery.reused,
      waited: digest?.waited ?? 0,
    };
  };
}
