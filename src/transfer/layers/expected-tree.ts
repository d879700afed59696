import type { RegistryLayer } from '../../registry/registry-image.ts';
import { formatDigest } from '../../request/content-digest.ts';
import type { RoomNeed } from '../room/target-room.ts';

/** Compression makes nothing larger by more than this share: what is served is, nearly, the least that is written. */
const LEAST_SHARE = 0.9;

/** What the layers of an image will take, as far as a manifest tells. Bytes. */
export interface ExpectedTree extends RoomNeed {
  /** As served: of a blob that several layers have, once. */
  readonly served: number;
}

export function expectedOf(layers: readonly RegistryLayer[]): ExpectedTree {
  const sizes = new Map(layers.map(({ digest, size }) => [formatDigest(digest), size]));
  const served = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  const areStored = layers.every(({ compression }) => compression === 'none');
  return { served, uncompressed: areStored ? served : 0, exact: false, occupied: served * LEAST_SHARE };
}
