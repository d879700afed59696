import type { ErrorRecord } from '../../console/rdpull-error.ts';
import type { AttachedLoopDevice, LoopBindRequest } from '../../expose/loop-device.ts';
import type { ChangeRequest } from './change-file.ts';

/** What the worker is to do with a device: one thing. */
export type Task =
  | { readonly kind: 'bind'; readonly request: Omit<LoopBindRequest, 'signal'> }
  | { readonly kind: 'change'; readonly request: ChangeRequest }
  | { readonly kind: 'detach'; readonly device: string };

export type Outcome =
  | { readonly kind: 'done'; readonly attached?: AttachedLoopDevice }
  | { readonly kind: 'failed'; readonly error: ErrorRecord };
