import os from 'node:os';
import { RdpullError } from '../../console/rdpull-error.ts';
import { identify } from '../../origin/machine-identity.ts';

/** What the names of all subsystems begin with that rdpull makes, on whatever machine: NVM Express Base Specification 2.0, section 4.5. */
export const NQN_PREFIX = 'nqn.2026-11.internal.rdpull:';

/** The longest name that a subsystem may have, in bytes: the same section. */
const NQN_MAX = 223;

/** What stands in a name as it is. Commas and the like mean something to who writes it into /dev/nvme-fabrics, slashes to configfs. */
const PLAIN_PATH = /^[A-Za-z0-9._+@=~-]+(?:\/[A-Za-z0-9._+@=~-]+)*$/;

/**
 * The name under which an image is exported: it ends in the path of the image, behind the digits of this machine and a dot, with `:`
 * in place of each `/`. The same machine gives the same image the same name again.
 *
 * @param path of the image, from the directory that is served
 * @returns undefined for a path that no such name can have in it
 */
export function exportNqn(path: string, machine = machineDigits()): string | undefined {
  const nqn = `${NQN_PREFIX}${machine}.${path.replaceAll('/', ':')}`;
  return PLAIN_PATH.test(path) && nqn.length <= NQN_MAX ? nqn : undefined;
}

/** The serial number of a subsystem: 20 characters, the same for the same name. A host keeps to a subsystem that has it still. */
export function exportSerial(nqn: string): string {
  return digest(nqn).slice(0, 20);
}

/**
 * The UUID of an image (RFC 9562, version 8): the same for the same content. A host that connects again keeps a namespace only with
 * the UUID that it had: so it goes on when the server was away, and never with another image in place of its own.
 */
export function imageUuid(nqn: string, content: string): string {
  const digits = digest(`${nqn}\n${content}`);
  const variant = ((Number.parseInt(digits.slice(16, 17), 16) & 3) | 8).toString(16);
  return [
    digits.slice(0, 8),
    digits.slice(8, 12),
    `8${digits.slice(13, 16)}`,
    variant + digits.slice(17, 20),
    digits.slice(20, 32),
  ].join('-');
}

/** Tells machines apart, and does not give away the machine ID (machine-id(5) asks for that). */
function machineDigits(): string {
  return digest(`${NQN_PREFIX}${machineName()}`).slice(0, 32);
}

function machineName(): string {
  try {
    return identify('machine-id');
  } catch (error) {
    if (!(error instanceof RdpullError)) throw error;
    return os.hostname();
  }
}

const digest = (text: string) => new Bun.CryptoHasher('sha256').update(text).digest('hex');
