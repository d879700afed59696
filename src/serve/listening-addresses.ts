import { isIPv6 } from 'node:net';
import os from 'node:os';

/** What stands for all addresses of the machine. */
const UNSPECIFIED: ReadonlySet<string> = new Set(['::', '0.0.0.0']);

/** What a guest of QEMU's user network reaches the host by (QEMU: "User mode networking"). */
export const QEMU_HOST = '10.0.2.2';

/**
 * The hosts, as they stand in a URL, by which others reach a server that listens on `address`: IPv4 before IPv6, the
 * machine's own loopback only where there is nothing else. Link-local ones are left out: no firmware takes a zone.
 */
export function reachableHosts(address: string): readonly string[] {
  if (!UNSPECIFIED.has(address)) return [inUrl(address)];
  const all = Object.values(os.networkInterfaces()).flatMap((each) => each ?? []);
  const usable = all.filter(
    (each) =>
      !each.internal && !/^fe[89ab]/i.test(each.address) && (address === '::' || each.family === 'IPv4'),
  );
  usable.sort((one, other) => Number(one.family === 'IPv6') - Number(other.family === 'IPv6'));
  return usable.length === 0 ? ['127.0.0.1'] : usable.map((each) => inUrl(each.address));
}

/** Whether a guest behind QEMU's user network reaches a server that listens on `address`. */
export function isReachedByGuests(address: string): boolean {
  return UNSPECIFIED.has(address) || address === '127.0.0.1';
}

/** A host, as a URL has it: RFC 3986, section 3.2.2. */
const inUrl = (address: string) => (isIPv6(address) ? `[${address}]` : address);
