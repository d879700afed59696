import { GENERATED } from './pull-unit.ts';
import { deviceUnit } from './root-device.ts';
import { unitText } from './unit-text.ts';
import type { UnitTreeEntry } from './unit-tree.ts';

/** How long a device is waited for without which the boot goes on. */
export interface BoundedWait {
  /** The device node. */
  readonly device: string;
  /** Of the drop-in, without `.conf`. */
  readonly name: string;
  /** What becomes of the boot without it, in a sentence. */
  readonly consequence: string;
  readonly seconds: number;
  /** From when on it counts; by default, from when it is asked for. */
  readonly after?: string;
}

/** The drop-in that bounds a wait. */
export function boundedWait({ device, name, consequence, seconds, after }: BoundedWait): UnitTreeEntry {
  return {
    precedence: 'normal',
    name: `${deviceUnit(device)}.d/${name}.conf`,
    content: unitText(
      [GENERATED, consequence],
      [
        {
          name: 'Unit',
          settings: [
            ...(after === undefined ? [] : [['After', after] as const]),
            ['JobRunningTimeoutSec', `${seconds}s`],
          ],
        },
      ],
    ),
  };
}
