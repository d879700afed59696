import path from 'node:path';
import { printable } from '../console/printable.ts';
import { reasonOf } from '../console/rdpull-error.ts';
import { carryUnit } from '../initramfs/carried-unit.ts';
import { RootFollower } from '../kernel/root-directory.ts';

/** Where a generator of the initrd has written units, which the real root knows nothing of. */
const GENERATED_UNITS = '/run/systemd/generator';

/** A process of the initrd that goes on in the real root. */
export interface SwitchRootSurvivor extends Disposable {
  /** Makes sure that paths mean what they mean to PID 1: again and again, and before anything is done by one. */
  follow(): void;
}

/**
 * The new root is the image itself. So nothing of it may be read from now on whose reading would wait for this process: of paths,
 * only those below /run, /proc, /sys and /dev are used, which are mounted there. Name resolution reads others, in a thread of its own;
 * it is tried at once, while connections are there, so that what it needs is in the cache when they are lost.
 *
 * @param hosts the names of the servers
 * @param warn takes a line when it will not be possible
 */
export function surviveSwitchRoot(
  hosts: readonly string[],
  warn: (text: string) => void,
): SwitchRootSurvivor {
  const follower = RootFollower.open();
  let hasFailed = false;
  const follow = () => {
    try {
      if (follower?.follow() === true) void resolveAll(hosts);
    } catch (error) {
      if (!hasFailed) warn(`the new root directory cannot be entered: ${reasonOf(error)}`);
      hasFailed = true;
    }
  };
  return { follow, [Symbol.dispose]: () => follower?.[Symbol.dispose]() };
}

async function resolveAll(hosts: readonly string[]): Promise<void> {
  const { lookup } = await import('node:dns/promises');
  // Whether it works will be told where it matters.
  await Promise.allSettled(hosts.map((host) => lookup(host)));
}

/**
 * Lets the systemd of the real root know the unit that the generator of the initrd has written. It would stop what it
 * does not know.
 *
 * @param unit `rdpull@run-machines-root.raw.service`
 * @param warn takes a line when it cannot be done
 */
export function keepUnit(unit: string, warn: (text: string) => void): void {
  try {
    carryUnit(path.join(GENERATED_UNITS, unit));
  } catch (error) {
    warn(
      `the real root will not know this unit: /run/systemd/system/${printable(unit)} cannot be made: ${reasonOf(error)}`,
    );
  }
}
