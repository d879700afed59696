import fs from 'node:fs';
import { shownUrl } from '../console/shown-url.ts';
import { findBootOrigin } from '../origin/boot-origin.ts';
import { firmwareTime } from '../origin/firmware-time.ts';
import { identify } from '../origin/machine-identity.ts';
import { findServerInterface } from '../origin/server-interface.ts';
import type { MachineLine } from './report-line.ts';

/** random(4): a new one at each boot. */
const BOOT_ID = '/proc/sys/kernel/random/boot_id';

/**
 * Who this machine is, as far as it knows: what it cannot say is left out.
 *
 * @param host the server's, without brackets
 */
export async function describeMachine(host: string): Promise<MachineLine> {
  const [name, serial, mac, uki, firmware] = [
    known(() => identify('hostname')),
    known(() => identify('serial')),
    await findServerInterface(host).then(
      (found) => found?.mac,
      () => undefined,
    ),
    known(() => findBootOrigin()?.url),
    known(() => firmwareTime()),
  ];
  return {
    boot: known(() => fs.readFileSync(BOOT_ID, 'utf8').trim()) ?? '',
    ...(name !== undefined && { name }),
    ...(serial !== undefined && { serial }),
    ...(mac !== undefined && { mac }),
    ...(uki !== undefined && { uki: shownUrl(uki) }),
    ...(firmware !== undefined && { firmware }),
  };
}

function known<T>(ask: () => T): T | undefined {
  try {
    return ask();
  } catch {
    return undefined;
  }
}
