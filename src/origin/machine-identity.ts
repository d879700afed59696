import fs from 'node:fs';
import os from 'node:os';
import { printable } from '../console/printable.ts';
import { RdpullError, reasonOf } from '../console/rdpull-error.ts';
import { ARCHITECTURES } from '../request/architecture.ts';
import { sameKey, splitWords } from '../request/kernel-command-line.ts';
import type { NetworkPlaceholder, Placeholder } from '../request/placeholder.ts';

/** What this machine knows about itself without asking the network. */
export type Identity = Exclude<Placeholder, 'mac' | NetworkPlaceholder>;

/** Host names that are none: the kernel's before one is set, and systemd's when nobody has chosen one. */
const NO_HOST_NAME: readonly (string | undefined)[] = [undefined, '', '(none)', 'localhost'];

/**
 * What a placeholder stands for on this machine. Not empty.
 *
 * @param root where etc, run, sys and proc lie
 * @throws RdpullError bad-url, naming the placeholder and the file, when this machine has no such thing
 */
export function identify(placeholder: Identity, root = ''): string {
  switch (placeholder) {
    case 'machine-id':
      return machineId(root);
    case 'hostname':
      return hostName(root);
    case 'arch':
      return ARCHITECTURES[process.arch] ?? process.arch;
    case 'kernel':
      return os.release();
    case 'serial':
      return smbiosField(placeholder, `${root}/sys/class/dmi/id/product_serial`);
    case 'uuid':
      return smbiosUuid(`${root}/sys/class/dmi/id/product_uuid`);
  }
}

/** The error for a placeholder that stands for nothing here: `why` ends its message. */
export function noValue(placeholder: Placeholder, why: string, cause?: unknown): RdpullError {
  return new RdpullError(
    'bad-url',
    `{${placeholder}} in the URL stands for nothing on this machine: ${why}`,
    'use another placeholder, or write the name out',
    { cause },
  );
}

/** As systemd decides: the kernel command line goes before the file (machine-id(5)). */
function machineId(root: string): string {
  const files = [`${root}/etc/machine-id`, `${root}/run/machine-id`];
  for (const text of [kernelParameter('systemd.machine_id', root), ...files.map(readLine)]) {
    const digits = text?.replaceAll('-', '').toLowerCase() ?? '';
    if (/^[0-9a-f]{32}$/.test(digits) && !/^0*$/.test(digits)) return digits;
  }
  throw noValue('machine-id', `neither ${files.join(' nor ')} holds a machine ID`);
}

/** The kernel's own name, which systemd has set from the command line, DHCP or /etc/hostname. */
function hostName(root: string): string {
  const candidates = [os.hostname(), kernelParameter('systemd.hostname', root)];
  const name = candidates.find((each) => !NO_HOST_NAME.includes(each));
  if (name !== undefined) return name;
  throw noValue('hostname', 'nobody has set its host name, neither systemd.hostname= nor /etc/hostname');
}

/** All zeros and all ones mean that nobody has set it: SMBIOS specification, section 7.2.1. */
function smbiosUuid(path: string): string {
  const uuid = smbiosField('uuid', path).toLowerCase();
  if (/^[0-]*$|^[f-]*$/.test(uuid))
    throw noValue('uuid', `${path} says ${printable(uuid)}, which means none`);
  return uuid;
}

function smbiosField(placeholder: Identity, path: string): string {
  let value: string;
  try {
    value = fs.readFileSync(path, 'utf8').trim();
  } catch (error) {
    const why = reasonOf(error);
    throw noValue(placeholder, `${path} cannot be read (${why})`, error);
  }
  if (value === '') throw noValue(placeholder, `${path} is empty`);
  return value;
}

/** A parameter that the kernel command line sets for the initrd (with `rd.`) or for every system; the last one wins. */
function kernelParameter(key: string, root: string): string | undefined {
  const parameters = splitWords(readLine(`${root}/proc/cmdline`) ?? '').flatMap((word) => {
    const [, name = '', value = ''] = /^(?:rd\.)?([^=]*)=(.*)$/s.exec(word) ?? [];
    return sameKey(name, key) ? [value] : [];
  });
  return parameters.at(-1);
}

function readLine(path: string): string | undefined {
  try {
    return fs.readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}
