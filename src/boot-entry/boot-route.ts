import fs from 'node:fs';
import { isIPv6 } from 'node:net';
import { printable } from '../console/printable.ts';
import { RdpullError, reasonOf } from '../console/rdpull-error.ts';
import { findServerInterface } from '../origin/server-interface.ts';
import { nearest } from '../request/nearest.ts';
import type { BootRoute } from './http-boot-path.ts';

const INTERFACES = '/sys/class/net';

/** The network device that a machine is to be booted through. */
export interface NamedRoute extends BootRoute {
  /** What it is called here: `eth0`. */
  readonly name: string;
}

/**
 * The way from here to the server, which is the one that the firmware should take.
 *
 * @returns why there is none, as the end of a sentence
 */
export async function routeTo(url: string): Promise<NamedRoute | string> {
  const host = hostOf(url);
  try {
    const found = await findServerInterface(host);
    if (found === undefined) return 'no network interface has the address that reaches it';
    const { name, mac, family } = found;
    return mac === undefined ? `${name} has no hardware address` : { name, mac, family };
  } catch (error) {
    return `there is no way to it from here: ${reasonOf(error)}`;
  }
}

/**
 * The way through a certain network interface.
 *
 * @throws RdpullError bad-option when it does not exist, or has no hardware address
 */
export function routeThrough(name: string, url: string): NamedRoute {
  const family = isIPv6(hostOf(url)) ? 6 : 4;
  const mac = hardwareAddress(name);
  if (mac !== undefined) return { name, mac, family };
  throw new RdpullError(
    'bad-option',
    `--interface=${printable(name)}: it has no hardware address, by which the firmware could know it`,
    'name the network device that the machine is booted through; ip link lists them',
  );
}

/** Lower-case, with colons; undefined for loopback, tunnels and what is no Ethernet. */
function hardwareAddress(name: string): string | undefined {
  const names = fs.readdirSync(INTERFACES);
  if (!names.includes(name)) {
    const meant = nearest(name, names);
    throw new RdpullError(
      'bad-option',
      `--interface=${printable(name)}: there is no such network interface`,
      meant === undefined ? `there are ${names.join(', ')}` : `did you mean ${meant}?`,
    );
  }
  const text = fs.readFileSync(`${INTERFACES}/${name}/address`, 'utf8').trim().toLowerCase();
  return /^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(text) && !/^[0:]*$/.test(text) ? text : undefined;
}

/** Without the brackets of an IPv6 address. */
function hostOf(url: string): string {
  return new URL(url).hostname.replace(/^\[(.*)\]$/, '$1');
}
