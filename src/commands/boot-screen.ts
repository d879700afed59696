import fs from 'node:fs';
import { type BootScreen, createBootScreen } from '../console/boot-screen.ts';
import { ConsoleScreen } from '../console/console-screen.ts';
import { createPlymouth, plymouthClient } from '../console/plymouth.ts';
import { parseConsoles } from '../console/proc-consoles.ts';
import { ConsoleDevice } from '../kernel/console-device.ts';

/** proc(5). */
const CONSOLES = '/proc/consoles';

/** The device that stands for the preferred console; with another number it is what a container has in its place. */
const DEV_CONSOLE = '/dev/console';
const DEV_CONSOLE_NUMBER = (5 << 8) | 1;

/** Each passphrase that is asked for is a file `ask.*` here (https://systemd.io/PASSWORD_AGENTS). */
const ASK_PASSWORD = '/run/systemd/ask-password';

/** Opens all consoles of this machine; those that cannot be opened are left out. */
export function openBootScreen(): BootScreen {
  const now = () => performance.now();
  const consoles: ConsoleScreen[] = [];
  const numbers = new Set<number>();
  const add = (path: string, isVirtualTerminal: boolean, isWanted: (number: number) => boolean): boolean => {
    let device: ConsoleDevice;
    try {
      device = new ConsoleDevice(path);
    } catch {
      return false;
    }
    if (numbers.has(device.number) || !isWanted(device.number)) {
      device[Symbol.dispose]();
      return false;
    }
    numbers.add(device.number);
    consoles.push(new ConsoleScreen(device, isVirtualTerminal, now));
    return true;
  };
  const always = () => true;
  let hasPreferred = false;
  for (const { name, isVirtualTerminal, isPreferred } of listed()) {
    const isOpen = add(`/dev/${name}`, isVirtualTerminal, always);
    hasPreferred ||= isOpen && isPreferred;
  }
  add(DEV_CONSOLE, false, (number) => number !== DEV_CONSOLE_NUMBER || !hasPreferred);
  const client = plymouthClient(process.env);
  return createBootScreen(
    consoles,
    client === undefined ? undefined : createPlymouth(client, now),
    isPassphraseAsked,
    now,
  );
}

function listed() {
  try {
    return parseConsoles(fs.readFileSync(CONSOLES, 'utf8'));
  } catch {
    return [];
  }
}

function isPassphraseAsked(): boolean {
  try {
    return fs.readdirSync(ASK_PASSWORD).some((name) => name.startsWith('ask.'));
  } catch {
    return false;
  }
}
