import type { FoundDemand } from '../transfer/promise.ts';
import type { TargetRoom } from '../transfer/room/target-room.ts';
import type { Staging } from '../transfer/staging.ts';
import type { ImageCache } from './cache/image-cache.ts';
import type { PartsInProgress } from './image-keeper.ts';
import type { OnDemandObserver } from './on-demand-observer.ts';
import type { OnDemandRequest } from './on-demand-request.ts';
import type { Pulse } from './pulse.ts';
import type { ReadersPatience } from './readers-patience.ts';
import type { ServedImage } from './served-image.ts';
import type { SwitchRootSurvivor } from './switch-root.ts';

/** All that is at work while an image is read on demand. */
export interface ShownImage {
  readonly pull: OnDemandRequest;
  readonly demand: FoundDemand;
  readonly image: ServedImage;
  /** Who keeps the file as it comes. */
  readonly parts: PartsInProgress | undefined;
  readonly staging: Staging;
  readonly room: TargetRoom;
  readonly cache: ImageCache;
  readonly survivor: SwitchRootSurvivor | undefined;
  readonly pulse: Pulse;
  readonly patience: ReadersPatience;
  readonly observer: OnDemandObserver;
}
