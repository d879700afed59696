import type { OnDemand } from '../request/on-demand.ts';
import type { Location } from '../source/source.ts';
import type { Limits } from '../transfer/limits.ts';
import type { Verification } from '../transfer/promise.ts';
import type { ChunkedImagePlaces } from './chunked-image.ts';
import type { ImageKeeper } from './image-keeper.ts';

/** An image that is to be read before it is there, and what to make of it. */
export interface OnDemandRequest extends Verification, ChunkedImagePlaces {
  /** Where it lies, or its index: at least one place. All of them are to have the same file. */
  readonly locations: readonly Location[];
  /** The final name of the image, which it has when all of it is there. */
  readonly target: string;
  readonly onDemand: OnDemand;
  /** Where to leave a link to the device with the root file system. */
  readonly rootLink: string | undefined;
  readonly force: boolean;
  readonly overcommit: boolean;
  readonly limits: Limits;
  /** The suffixes of the files that belong beside the complete image at `path`. */
  readonly sideFiles: (path: string) => readonly string[];
  /** The kernel command line, which may say that dm-verity is insisted on. */
  readonly commandLine: string;
  readonly inInitrd: boolean;
  /** The unit that has started this process. */
  readonly unit: string | undefined;
  /** Who has images of another time, and keeps this one. */
  readonly keeper?: ImageKeeper | undefined;
}
