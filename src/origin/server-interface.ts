import dns from 'node:dns/promises';
import { isIPv6 } from 'node:net';
import os from 'node:os';
import { localAddressTowards } from '../source/local-address.ts';

/** The interface that packets to a server leave by. */
export interface ServerInterface {
  readonly name: string;
  /** Lower-case, with colons; undefined for an interface without one (loopback, tunnels). */
  readonly mac: string | undefined;
  /** Of the server's address. */
  readonly family: 4 | 6;
}

/**
 * Asks the kernel which interface reaches `host`; undefined when the address that it would send from is on none.
 *
 * @param host a name or an IP address, without brackets
 * @throws Error with the code of getaddrinfo(3) or connect(2) when there is no such host or no route to it
 */
export async function findServerInterface(host: string): Promise<ServerInterface | undefined> {
  const addresses = await dns.lookup(host, { all: true });
  const local = await firstOf(addresses, ({ address }) => localAddressTowards(address));
  for (const [name, assigned = []] of Object.entries(os.networkInterfaces())) {
    const found = assigned.find(({ address }) => address === local);
    if (found === undefined) continue;
    const mac = /^[0:]*$/.test(found.mac) ? undefined : found.mac.toLowerCase();
    return { name, mac, family: isIPv6(found.address) ? 6 : 4 };
  }
  return undefined;
}

/** The first result that is no failure; when all fail, the first failure, as the best known address speaks for all. */
async function firstOf<T, R>(candidates: readonly T[], attempt: (candidate: T) => Promise<R>): Promise<R> {
  const failures: unknown[] = [];
  for (const candidate of candidates) {
    try {
      return await attempt(candidate);
    } catch (error) {
      failures.push(error);
    }
  }
  throw failures[0];
}
