import fs from 'node:fs';
import path from 'node:path';
import { reasonOf } from '../console/rdpull-error.ts';

/** Below `/run`, which the real root takes over: systemd.unit(5), and what it runs. */
const DROP_IN = 'systemd/system/systemd-networkd.service.d/50-rdpull.conf';
const SCRIPT = 'rdpull/keep-network';

/** What the script leaves: systemd.network(5). */
const SETTINGS = 'systemd/network/*.network.d/50-rdpull.conf';

/** SIGUSR2 is what systemd-networkd is told to go with when it is to come back at once (RestartKillSignal= of its unit, since 244). */
const TEXT = `# Written by rdpull for as long as the root comes over the network.

[Service]
ExecStartPre=-+/bin/sh /run/${SCRIPT}
KillSignal=SIGUSR2
`;

/**
 * systemd-networkd sets KeepConfiguration=yes itself where the root is a network file system (manager_set_keep_configuration()), and
 * cannot see that a disk comes over the network. Which files the real root has for its interfaces, nobody knows before it is there.
 */
const SCRIPT_TEXT = `#!/bin/sh
# Written by rdpull: the systemd-networkd of the real root is not to take away the addresses of the initrd when it starts.
for file in /etc/systemd/network/*.network /run/systemd/network/*.network /usr/local/lib/systemd/network/*.network /usr/lib/systemd/network/*.network; do
    [ -e "$file" ] || continue
    directory=/run/systemd/network/\${file##*/}.d
    mkdir -p "$directory"
    printf '[Network]\\nKeepConfiguration=yes\\n' >"$directory/50-rdpull.conf"
done
`;

/**
 * Lets the interfaces keep the addresses of the initrd when the systemd-networkd of the real root starts, and those that they have then when
 * it is stopped: at shutdown, for kexec, in rescue mode. It takes them away else (later ones than 252 also at the start, until a DHCP server
 * answers, which may give another one), because it does not know that the root needs them, and what it needs itself to go on, it could not read.
 *
 * @param warn takes a line when it cannot be done
 * @param run where it is written
 * @returns takes it back, once the root is in memory
 */
export function keepNetwork(warn: (text: string) => void, run = '/run'): Disposable {
  const files = { [path.join(run, SCRIPT)]: SCRIPT_TEXT, [path.join(run, DROP_IN)]: TEXT };
  try {
    for (const [file, text] of Object.entries(files)) {
      fs.mkdirSync(path.dirname(file), { recursive: true });
      fs.writeFileSync(file, text);
    }
  } catch (error) {
    warn(`the network may be gone before the machine is down: ${reasonOf(error)}`);
    return { [Symbol.dispose]: () => undefined };
  }
  return {
    [Symbol.dispose]() {
      const made = fs.globSync(SETTINGS, { cwd: run }).map((name) => path.join(run, name));
      for (const file of [...Object.keys(files), ...made]) fs.rmSync(file, { force: true });
    },
  };
}
