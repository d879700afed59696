import fs from 'node:fs';
import { printable } from '../console/printable.ts';
import { size } from '../console/quantity.ts';
import { findOverlay, type MountedOverlay, UPPER } from '../expose/overlay/places.ts';

/** The overlay of the root, as it is now. */
export interface OverlayStatus extends MountedOverlay {
  /** Bytes that can still be written. */
  readonly free: number;
}

/** undefined when there is none */
export function readOverlay(): OverlayStatus | undefined {
  const overlay = findOverlay();
  if (overlay === undefined) return undefined;
  const { bavail, bsize } = fs.statfsSync(UPPER);
  return { ...overlay, free: bavail * bsize };
}

/** Where what is written goes, in words. */
export function overlayPlace({ type, device, free }: OverlayStatus): string {
  const room = `${size(free)} free`;
  if (device === undefined) return `what is written goes to memory (${room}), and is lost at the end`;
  return `what is written goes to ${printable(device)} (${type}, ${room})`;
}

/** The same for `--json`, as rdpull-json(7) has it. */
export function overlayJson({ mountPoint, type, device, free }: OverlayStatus): object {
  return { mount: mountPoint, type, device: device ?? null, free };
}
