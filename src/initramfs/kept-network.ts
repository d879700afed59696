import fs from 'node:fs';
import path from 'node:path';
import { reasonOf } from '../console/rdpull-error.ts';

/** Below `/run`, which the real root takes over: systemd.unit(5). */
const DROP_IN = '/run/systemd/system/systemd-networkd.service.d/50-rdpull.conf';

/** SIGUSR2 is what systemd-networkd is told to go with when it is to come back at once (RestartKillSignal= of its unit, since 244). */
const TEXT = `# Written by rdpull for as long as the root comes over the network.

[Service]
KillSignal=SIGUSR2
`;

/**
 * Lets the interfaces keep their addresses when the systemd-networkd of the real root is stopped: at shutdown, for kexec, in rescue mode.
 * It takes them away else, because it does not know that the root needs them (KeepConfiguration=, systemd.network(5)), and what the
 * system needs in order to come down is not there yet.
 *
 * @param warn takes a line when it cannot be done
 * @param dropIn where it is written
 * @returns takes it back, once the root is in memory
 */
export function keepNetwork(warn: (text: string) => void, dropIn = DROP_IN): Disposable {
  try {
    fs.mkdirSync(path.dirname(dropIn), { recursive: true });
    fs.writeFileSync(dropIn, TEXT);
  } catch (error) {
    warn(`the network may be gone before the machine is down: ${reasonOf(error)}`);
    return { [Symbol.dispose]: () => undefined };
  }
  return {
    [Symbol.dispose]() {
      fs.rmSync(dropIn, { force: true });
    },
  };
}
