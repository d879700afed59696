import type { ErrorRecord } from '../../console/rdpull-error.ts';
import type { Compression } from '../../decode/compression-magic.ts';
import type { SinkResult } from '../../decode/sink.ts';
import type { DigestAlgorithm } from '../../request/content-digest.ts';
import type { ConversionPlan } from '../conversion/plan.ts';
import type { Limits } from '../limits.ts';
import type { LayerPosition, LayerResult } from '../sink/layers/layer-sink.ts';
import type { Ring } from './ring.ts';

/** What is to be built at `path`. */
export type Destination = {
  readonly path: string;
  readonly limits: Limits;
  /** Whether a digest is promised for the bytes as served: what the bytes need not prove then, see differences.md. */
  readonly isVouchedFor: boolean;
} & (
  | { readonly kind: 'raw-image' | 'directory-tree' }
  /** A layer to be applied to what is there; the same maker takes one after the other. */
  | { readonly kind: 'layer'; readonly position: ImagePosition; readonly digest: DigestAlgorithm | undefined }
);

/** What came before a layer: the limits hold for all of them together. */
export interface ImagePosition extends LayerPosition {
  /** Bytes of the layers below, as served and after decompression. */
  readonly servedBelow: number;
  readonly bytesBelow: number;
}

/** To whoever makes the image: the worker, but for small images. */
export type ToMaker =
  | {
      readonly kind: 'start';
      readonly ring: Ring;
      readonly destination: Destination;
      /** Bytes that decoding side by side may take. */
      readonly threadingMemory: number;
    }
  /** `length` bytes of the stream lie in `slot`, which is its own until it gives it back. */
  | { readonly kind: 'chunk'; readonly slot: number; readonly length: number }
  /** The stream is complete. */
  | { readonly kind: 'end' }
  /** After 'finished', when the image is a qcow2 image: what would a raw one in its place take? */
  | { readonly kind: 'plan' }
  /** Make it. `shrinks`: the qcow2 image gives back its room meanwhile. */
  | { readonly kind: 'convert'; readonly shrinks: boolean }
  /** Let go of everything. */
  | { readonly kind: 'close' };

/** From whoever makes the image. */
export type FromMaker =
  | { readonly kind: 'released'; readonly slot: number }
  | { readonly kind: 'warning'; readonly text: string }
  | { readonly kind: 'finished'; readonly result: PipelineResult }
  | { readonly kind: 'planned'; readonly plan: ConversionPlan }
  /** `bytes`: of the raw image. */
  | { readonly kind: 'converted'; readonly bytes: number }
  | { readonly kind: 'failed'; readonly error: ErrorRecord }
  | { readonly kind: 'closed' };

export interface PipelineResult extends SinkResult {
  readonly compression: Compression;
  /** What was written: a tree, a raw image, or a qcow2 image that has to become one. */
  readonly format: 'tar' | 'raw' | 'qcow2';
  /** Of a layer alone. */
  readonly layer?: LayerResult;
}
