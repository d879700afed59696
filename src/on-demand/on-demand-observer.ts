import type { RdpullError } from '../console/rdpull-error.ts';
import type { AttachedLoopDevice } from '../expose/loop-device.ts';
import type { FetchFigures } from './fetch/fetch-figures.ts';

/** Who watches. Bytes throughout. */
export interface OnDemandObserver {
  /** The image is found; `size` as served, where that is known, `imageSize` after decompression. */
  started(source: {
    readonly url: string;
    readonly size: number | undefined;
    readonly imageSize: number;
  }): void;
  /** It can be used from now on. */
  attached(device: AttachedLoopDevice, root: string | undefined): void;
  /** Called four times a second. */
  progress(figures: FetchFigures, isMounted: boolean): void;
  /** It is all there, and published, and waits for being mounted: a text. */
  waiting(text: string): void;
  /** Somebody wants the process to end, which it must not: why. */
  goesOn(text: string): void;
  /** No more of it will come; what is there can be read on. */
  broken(error: RdpullError): void;
  warn(text: string): void;
  /** Takes a line for each step of the verification. */
  explain(text: string): void;
}
