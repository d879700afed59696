import { blockDevicePath, DEVICE_NAMES } from './block-device-name.ts';
import { unitNameFromPath } from './unit-name.ts';

/** Where what is written to a root goes that is itself not written to. */
export type RootOverlay =
  | { readonly kind: 'memory' }
  | {
      readonly kind: 'device';
      /** As it was written: `LABEL=data`, `/dev/sda3`. */
      readonly name: string;
      /** The path of the device. */
      readonly path: string;
      /** Whether the memory will do where the device will not. */
      readonly isOptional: boolean;
    };

/** What `overlay=` may say, to follow "is not". */
export const OVERLAY_VALUES = `tmpfs, or a device: ${DEVICE_NAMES}, with ? behind it where the memory will do as well`;

/** The value of `overlay=`; undefined when it is none. */
export function parseRootOverlay(text: string): RootOverlay | undefined {
  if (text === 'tmpfs') return { kind: 'memory' };
  const isOptional = text.endsWith('?');
  const name = isOptional ? text.slice(0, -1) : text;
  const path = blockDevicePath(name);
  if (path === undefined || /[\x00-\x1f\x7f]/.test(name) || !canBeAwaited(path)) return undefined;
  return { kind: 'device', name, path, isOptional };
}

/** Whether units can be named after a device: the longest is that of its check. */
function canBeAwaited(path: string): boolean {
  try {
    unitNameFromPath('systemd-fsck', path, '.service');
    return true;
  } catch {
    return false;
  }
}

/** What {@link parseRootOverlay} reads. */
export function formatRootOverlay(overlay: RootOverlay): string {
  if (overlay.kind === 'memory') return 'tmpfs';
  return overlay.isOptional ? `${overlay.name}?` : overlay.name;
}
